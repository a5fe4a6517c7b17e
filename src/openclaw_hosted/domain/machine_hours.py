"""How long machines ran in a month, and for whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.naming import InstanceId, UserId

DECEMBER: Final = 12
_MONTH: Final = re.compile(r"(\d{4})-(\d\d)")


@dataclass(frozen=True, slots=True)
class Month:
    """A month in UTC, from `since` up to `until`, in seconds since the epoch."""

    name: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Use:
    """What one user's machines ran in a month; `owner_id` of None stands for spares."""

    owner_id: UserId | None
    machines: int
    seconds: float


def month_of(name: str | None, now: float) -> Month:
    """The month of that name, such as `2026-11`, or the present one. Raises `InvalidInput`."""
    name = name or datetime.fromtimestamp(now, UTC).strftime("%Y-%m")
    found = _MONTH.fullmatch(name)
    year, number = (int(part) for part in found.groups()) if found else (0, 0)
    if not year or not 1 <= number <= DECEMBER:
        raise InvalidInput(FieldProblem("month", "Give a month such as 2026-11."))
    after = (year + 1, 1) if number == DECEMBER else (year, number + 1)
    begins, ends = (datetime(*each, 1, tzinfo=UTC).timestamp() for each in ((year, number), after))
    return Month(name, begins, ends)


def used(machines: Iterable[Machine], owners: Mapping[InstanceId, UserId], month: Month, now: float) -> Sequence[Use]:
    """By user, the longest first. A machine counts from its launch, so the time that it waited as a spare is its user's."""
    seconds: dict[UserId | None, float] = {}
    count: dict[UserId | None, int] = {}
    for machine in machines:
        ended_at = machine.state_changed_at if machine.state is MachineState.TERMINATED else now
        ran = min(ended_at, month.until, now) - max(machine.created_at, month.since)
        if ran > 0:
            owner = owners.get(machine.instance_id) if machine.instance_id is not None else None
            seconds[owner] = seconds.get(owner, 0.0) + ran
            count[owner] = count.get(owner, 0) + 1
    return sorted((Use(owner, count[owner], seconds[owner]) for owner in seconds), key=lambda use: -use.seconds)
