"""What exists at the provider without a row: what becomes of it. Doubt never deletes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

MOST_AT_ONCE = 3
LARGEST_SHARE = 0.1


class OrphanState(StrEnum):
    """Why an orphan still exists."""

    QUARANTINED = "quarantined"
    """It may hold a user's data: it is kept for a while."""
    HELD_BACK = "held_back"
    """It came up with too many others: the database may be the wrong one. Only an operator has it removed."""
    RELEASED = "released"
    """An operator wants it removed."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something without a row, as the store remembers it."""

    name: str
    """For people: a kind and an id."""
    since: float
    state: OrphanState


@dataclass(frozen=True, slots=True)
class Found:
    """Something without a row, as it was just listed."""

    owner: str
    """The id of the row that it should have."""
    holds_data: bool
    """Whether a user's data or credentials may be in it."""


@dataclass(frozen=True, slots=True)
class OrphanPlan:
    """What to do about orphans."""

    remove: frozenset[str]
    keep: tuple[Orphan, ...]
    """New ones to be remembered."""
    forget: frozenset[str]
    """Remembered ones that are orphans no more."""


def plan_orphans(
    due: Mapping[str, Found], known: Collection[Orphan], others: Collection[str], existing: int, now: float, quarantine_seconds: float
) -> OrphanPlan:
    """`due` are those beyond the grace period, `others` the names of younger ones, `existing` how many things there are in all.

    New ones are held back where they belong to more than `MOST_AT_ONCE` rows and are more than `LARGEST_SHARE` of all that exists: an
    empty, an older or a wrong database makes an orphan of everything.
    """
    remembered = {orphan.name: orphan for orphan in known}
    fresh = {name: found for name, found in due.items() if name not in remembered}
    owners = {found.owner for found in fresh.values()}
    many = len(owners) > MOST_AT_ONCE and len(fresh) > LARGEST_SHARE * existing
    remove, keep = set(), []
    for name, found in fresh.items():
        if many:
            keep.append(Orphan(name, now, OrphanState.HELD_BACK))
        elif found.holds_data and quarantine_seconds > 0:
            keep.append(Orphan(name, now, OrphanState.QUARANTINED))
        else:
            remove.add(name)
    for name in due.keys() & remembered.keys():
        orphan = remembered[name]
        over = orphan.state is OrphanState.QUARANTINED and not 0 <= now - orphan.since < quarantine_seconds
        if orphan.state is OrphanState.RELEASED or over:
            remove.add(name)
    return OrphanPlan(frozenset(remove), tuple(keep), frozenset(remembered.keys() - due.keys() - set(others)))
