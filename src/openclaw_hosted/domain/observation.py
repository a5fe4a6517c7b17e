"""What was seen of a machine and its gateway, from look to look."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_hosted.domain.naming import MachineId


@dataclass(frozen=True, slots=True)
class Observation:
    """What liveness knows of one machine. Times are seconds since the epoch."""

    machine_id: MachineId
    bad_looks: int = 0
    """In a row, until now."""
    restarts: int | None = None
    """How often its gateway had been started again; None before it was asked."""
    answered: bool = False
    """Whether the gateway that runs there has answered before: one that does no more hangs."""
    answering_since: float | None = None
    """When the gateway that answered last was started, as far as it says."""
    touched_at: float | None = None
    """When a hot spare was last kept warm."""
