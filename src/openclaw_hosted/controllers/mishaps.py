"""Surprises of single rows: each is that row's alone.

A loop that looks after many rows guards the work on each. What nobody foresaw there is logged, told as an event once and not again until
it has passed or changed, and tried again ever more slowly; the other rows notice nothing.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Collection
from dataclasses import dataclass

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.naming_lines import lines_about
from openclaw_hosted.controllers.runtime import retry_seconds
from openclaw_hosted.domain.errors import OpenClawHostedError
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import InstanceId, MachineId

log = structlog.get_logger("mishaps")
ERROR_LENGTH = 300
MOST_ROWS = 10_000
"""Of so many rows the surprises are remembered; beyond that all is forgotten, and told again."""


@dataclass(slots=True)
class _Mishap:
    error: str
    times: int
    rests_until: float


class Mishaps:
    """What surprised one loop, by row."""

    def __init__(self, loop: str, ports: Ports, options: ControllerOptions) -> None:
        self._loop = loop
        self._ports = ports
        self._options = options
        self._rows: dict[str, _Mishap] = {}

    def rests(self, key: str) -> bool:
        """Whether this row surprised lately, and is left alone for now."""
        found = self._rows.get(key)
        return found is not None and self._ports.clock.monotonic() < found.rests_until

    async def guard(
        self, key: str, work: Awaitable[object], *, instance_id: InstanceId | None = None, machine_id: MachineId | None = None
    ) -> bool:
        """Await `work` on the row `key`; whether it ended well. Raises nothing but cancellation, and the end of a time limit around it.

        What a port or a store foresees, such as a provider that is away, is only logged: it passes, and is not of the row's making.
        """
        with lines_about(instance_id, machine_id):
            return await self._guarded(key, work, instance_id, machine_id)

    async def _guarded(self, key: str, work: Awaitable[object], instance_id: InstanceId | None, machine_id: MachineId | None) -> bool:
        try:
            await work
        except OpenClawHostedError as error:
            log.warning("row not looked after", row=key, error=describe(error))
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rows come next
            await self._note(key, error, instance_id, machine_id)
            return False
        self._rows.pop(key, None)
        return True

    def forget_others(self, known: Collection[str]) -> None:
        """Forget the rows that are no more."""
        for key in self._rows.keys() - set(known):
            del self._rows[key]

    async def _note(self, key: str, error: Exception, instance_id: InstanceId | None, machine_id: MachineId | None) -> None:
        reason = describe(error)[:ERROR_LENGTH]
        before = self._rows.get(key)
        times = before.times + 1 if before is not None else 1
        pause = retry_seconds(times - 1, self._ports.ids.jitter(), self._options)
        if len(self._rows) >= MOST_ROWS:
            self._rows.clear()
        self._rows[key] = _Mishap(reason, times, self._ports.clock.monotonic() + pause)
        log.warning("row surprised", row=key, times=times, error=reason, at=_place(error))
        if before is not None and before.error == reason:
            return
        detail = {"loop": self._loop, "what": key, "error": reason}
        try:
            event = Event(EventName.LOOP_ROW_FAILED, self._ports.clock.now(), instance_id, machine_id, detail=detail)
            await self._ports.platform_store.add_event(event)
        except OpenClawHostedError as failure:
            log.warning("surprise not recorded", row=key, error=describe(failure))


def _place(error: Exception) -> str:
    """Where it was raised. Not the whole traceback, whose text may hold anything."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
