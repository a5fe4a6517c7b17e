"""All loops, put together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from openclaw_hosted.controllers.alarms import AlarmsController
from openclaw_hosted.controllers.backup import BackupController
from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.disk import DiskController
from openclaw_hosted.controllers.edge import EdgeController
from openclaw_hosted.controllers.filing import FilingController, UnfiledRows
from openclaw_hosted.controllers.history import HistoryController
from openclaw_hosted.controllers.housekeeping import HousekeepingController
from openclaw_hosted.controllers.interruption import InterruptionController
from openclaw_hosted.controllers.keys import KeysController
from openclaw_hosted.controllers.letters import LettersController
from openclaw_hosted.controllers.liveness import LivenessController
from openclaw_hosted.controllers.metering import MeteringController
from openclaw_hosted.controllers.orphans import OrphansController
from openclaw_hosted.controllers.placement import PlacementController
from openclaw_hosted.controllers.pool import PoolController
from openclaw_hosted.controllers.readiness import ReadinessController
from openclaw_hosted.controllers.restore_points import RestorePointsController
from openclaw_hosted.controllers.runtime import PeriodicLoop, RowWorkers, run_together
from openclaw_hosted.controllers.telemetry import TelemetryController
from openclaw_hosted.controllers.webhooks import WebhooksController
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.webhook import Webhook
from openclaw_hosted.ports.urgency import in_background

FILING_SHARE = 4
"""Of the workers of a kind, one in so many does what nobody waits for, and looks for it as much less often."""


class ControlLoops:
    """Runs every controller until cancelled. Several replicas may run side by side on one store."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        readiness, placement = ReadinessController(ports, options), PlacementController(ports, options)
        self._machines = RowWorkers[Machine](Topic.MACHINES, ports.machine_store, readiness, ports.hints, ports.ids, options)
        self._instances = RowWorkers[Instance](Topic.PLACEMENT, ports.instance_store, placement, ports.hints, ports.ids, options)
        filing, unfiled = FilingController(ports, options), UnfiledRows(ports.instance_store)
        few = replace(options, workers=max(1, options.workers // FILING_SHARE), scan_seconds=options.scan_seconds * FILING_SHARE)
        self._unfiled = RowWorkers[Instance](Topic.FILING, unfiled, filing, ports.hints, ports.ids, few)
        self._webhooks: RowWorkers[Webhook] | None = None
        if ports.webhook_store is not None and ports.telling is not None:
            told = WebhooksController(ports, ports.webhook_store, ports.telling, few)
            self._webhooks = RowWorkers[Webhook](Topic.WEBHOOKS, ports.webhook_store, told, ports.hints, ports.ids, few)
        alone = (ports.platform_store, ports.hints, ports.ids, ports.clock, options)
        self._periodic = [
            PeriodicLoop(name, tick, *alone, seconds)
            for name, tick, seconds in (
                (Topic.POOL, PoolController(ports, options).tick, options.scan_seconds * 5),
                (Topic.MOVES, InterruptionController(ports, options).tick, options.scan_seconds),
                ("liveness", LivenessController(ports, options).tick, options.liveness_seconds),
                ("edge", EdgeController(ports, options).tick, options.liveness_seconds),
                ("orphans", OrphansController(ports, options).tick, options.orphans_seconds),
                (Topic.POINTS, RestorePointsController(ports, options).tick, options.restore_points_seconds),
                ("housekeeping", HousekeepingController(ports, options).tick, options.housekeeping_seconds),
                ("disk", DiskController(ports).tick, options.disk_seconds),
                ("metering", MeteringController(ports, options).tick, options.metering_seconds),
            )
        ]
        if ports.alarms is not None:
            watch = AlarmsController(ports, ports.alarms, options)
            self._periodic.append(PeriodicLoop("alarms", watch.tick, *alone, options.alarms_seconds))
        if ports.exporting is not None:
            sent = TelemetryController(ports.exporting, ports.clock)
            self._periodic.append(PeriodicLoop("telemetry", sent.tick, *alone, options.metering_seconds))
        if ports.history is not None:
            history = HistoryController(ports, ports.history, options)
            self._periodic.append(PeriodicLoop("history", history.tick, *alone, options.history_seconds))
        if ports.news is not None:
            keys = KeysController(ports, ports.news, options)
            self._periodic.append(PeriodicLoop("keys", keys.tick, *alone, options.keys_seconds))
            if ports.mailer is not None:
                letters = LettersController(ports, ports.news, ports.mailer, options)
                self._periodic.append(PeriodicLoop("letters", letters.tick, *alone, options.letters_seconds))
        self._backup = BackupController(ports, ports.backups, options) if ports.backups is not None else None
        if self._backup is not None:
            self._periodic.append(PeriodicLoop("backup", self._backup.tick, *alone, options.lease_seconds / 3))

    async def run(self) -> None:
        """Until cancelled; then work under way is dropped, and goes on where it stood when someone runs again.

        Users wait for instances alone.
        """
        background = [self._machines.run, self._unfiled.run, *(loop.run for loop in self._periodic)]
        if self._webhooks is not None:
            background.append(self._webhooks.run)
        try:
            await run_together(self._instances.run, *(partial(in_background, run) for run in background))
        finally:
            if self._backup is not None:
                await self._backup.stop()
