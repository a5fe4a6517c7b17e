"""Backup: makes one whenever the last good one has become too old, and keeps the newest few.

A backup may take longer than a lease lasts, so it runs beside the ticks, which renew the lease and look whether it has ended. Stopping
the loops stops it, and nothing of it is left; one that hangs is left behind. It never touches the backups that an operator made by hand
elsewhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.ports.backups import Backup, Backups

log = structlog.get_logger("backup")
ERROR_LENGTH: Final = 300
STOP_SECONDS: Final = 2.0


class BackupController:
    """One tick: see how the backup under way is, or whether one is due."""

    def __init__(self, ports: Ports, backups: Backups, options: ControllerOptions) -> None:
        self._ports = ports
        self._backups = backups
        self._options = options
        self._making: asyncio.Task[Backup] | None = None

    async def tick(self) -> float:
        """Look once; returns after how many seconds to look again."""
        if self._making is not None:
            if not self._making.done():
                return self._options.poll_seconds
            making, self._making = self._making, None
            await self._ended(making)
        pause = await self._seconds_until_due()
        if pause <= 0:
            self._making = asyncio.create_task(self._backups.make(), name="backup")
            return self._options.poll_seconds
        return pause

    async def stop(self) -> None:
        """Have a backup that is being made end, and wait a moment for that: one that hangs keeps nobody from stopping."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait([asyncio.gather(self._making, return_exceptions=True)], timeout=STOP_SECONDS)

    async def _seconds_until_due(self) -> float:
        history = await self._backups.history()
        if history.attempted_at is None:
            return 0.0
        wait = min(self._options.backup_retry_seconds, self._options.backup_seconds) if history.error else self._options.backup_seconds
        return history.attempted_at + wait - self._ports.clock.now()

    async def _ended(self, making: asyncio.Task[Backup]) -> None:
        now, history = self._ports.clock.now(), await self._backups.history()
        try:
            made = await making
            removed = await self._backups.prune()
        except Exception as error:  # noqa: BLE001 - whatever it is, an operator has to know, and the next one starts afresh
            reason = describe(error)[:ERROR_LENGTH]
            await self._backups.record(replace(history, attempted_at=now, error=reason))
            await self._say(EventName.BACKUP_FAILED, error=reason)
            log.warning("backup failed", error=reason)
            return
        await self._backups.record(
            replace(history, attempted_at=now, succeeded_at=now, error=None, path=made.path, incomplete=made.incomplete)
        )
        await self._say(
            EventName.BACKUP_MADE, file=made.path, bytes=made.size_bytes, left_out=len(made.left_out), incomplete=len(made.incomplete)
        )
        log.info("backup made", file=made.path, bytes=made.size_bytes, left_out=list(made.left_out)[:20], removed=len(removed))

    async def _say(self, name: EventName, **detail: str | int) -> None:
        await self._ports.platform_store.add_event(Event(name, self._ports.clock.now(), detail=detail))
