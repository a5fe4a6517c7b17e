"""How long things usually take on this platform, told from what happened here lately."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.naming import InstanceId

RECENT: Final = 9
"""Few enough to tell of this platform as it is now."""
LOOKED_AT: Final = 600
"""How many of the newest events that begin or end a wait are enough."""


class Waiting(StrEnum):
    """What a user waits for."""

    CREATE = "create"
    """An instance that was asked for answers."""
    MACHINE = "machine"
    """The same, where no spare was free."""
    RESTART = "restart"
    CHANGE = "change"
    """New settings are in force."""
    RESTORE = "restore"
    """An older state is back."""
    MOVE = "move"
    """It answers on another machine."""
    DELETE = "delete"
    UNDO = "undo"
    """A deleted instance answers again."""
    RESTORE_POINT = "restore_point"
    """What it remembers is kept."""


BEGINS: Final[Mapping[EventName, Waiting]] = {
    EventName.INSTANCE_CREATED: Waiting.CREATE,
    EventName.INSTANCE_RESTART_ASKED: Waiting.RESTART,
    EventName.INSTANCE_CHANGED: Waiting.CHANGE,
    EventName.INSTANCE_REWIND_ASKED: Waiting.RESTORE,
    EventName.INSTANCE_MACHINE_LOST: Waiting.MOVE,
    EventName.INSTANCE_MOVING: Waiting.MOVE,
    EventName.INSTANCE_DELETE_ASKED: Waiting.DELETE,
    EventName.INSTANCE_RESTORED: Waiting.UNDO,
    EventName.RESTORE_POINT_ASKED: Waiting.RESTORE_POINT,
}
ENDS: Final[Mapping[EventName, frozenset[Waiting]]] = {
    EventName.INSTANCE_RUNNING: frozenset(BEGINS.values()) - {Waiting.DELETE, Waiting.RESTORE_POINT},
    EventName.INSTANCE_DELETED: frozenset({Waiting.DELETE}),
    EventName.RESTORE_POINT_MADE: frozenset({Waiting.RESTORE_POINT}),
}
WAIT_EVENTS: Final = frozenset(BEGINS) | frozenset(ENDS)

Happening = tuple[InstanceId, EventName, float]
"""Whom it happened to, what, and when."""


def usual_waits(happenings: Iterable[Happening]) -> dict[Waiting, float]:
    """The median of the newest waits of each kind, in seconds. `happenings` come oldest first. A wait that did not end tells nothing."""
    open_since: dict[tuple[InstanceId, Waiting], float] = {}
    seen: dict[Waiting, list[float]] = {}
    for instance_id, name, at in happenings:
        for waiting in ENDS.get(name, frozenset()):
            since = open_since.pop((instance_id, waiting), None)
            if since is not None:
                seen.setdefault(waiting, []).append(at - since)
        if (begun := BEGINS.get(name)) is not None:
            open_since.setdefault((instance_id, begun), at)
    return {waiting: statistics.median(spans[-RECENT:]) for waiting, spans in seen.items()}
