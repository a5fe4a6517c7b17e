"""What a mutant is, and what has to notice it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Catcher(StrEnum):
    """What has to notice a mutant."""

    SIMULATION = "the standard run"
    CONTRACT = "the contract of the stores"
    MOVES = "the scenes of moves"
    """For what costs a user a turn or a minute, and breaks nothing."""
    ADOPTION = "the scenes of an adoption"
    """For marks that are missing, which they are not once all is at rest."""
    SCENES = "the scenes of what was found"
    """For what a run is too short or too mild to show."""
    RESTORES = "the scenes of restore points"


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in the file at `path`, becomes `new`."""

    name: str
    path: str
    old: str
    new: str
    catcher: Catcher = Catcher.SIMULATION
