"""All loops, put together."""

from __future__ import annotations

from openclaw_hosted.controllers.backup import BackupController
from openclaw_hosted.controllers.disk import DiskController
from openclaw_hosted.controllers.liveness import LivenessController
from openclaw_hosted.controllers.metering import MeteringController
from openclaw_hosted.controllers.orphans import OrphansController
from openclaw_hosted.controllers.placement import PlacementController
from openclaw_hosted.controllers.pool import PoolController
from openclaw_hosted.controllers.ports import ControllerOptions, Ports
from openclaw_hosted.controllers.readiness import ReadinessController
from openclaw_hosted.controllers.runtime import PeriodicLoop, RowWorkers, run_together
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.machine import Machine


class ControlLoops:
    """Runs every controller until cancelled. Several replicas may run side by side on one store."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        readiness, placement = ReadinessController(ports, options), PlacementController(ports, options)
        common = (ports.hints, ports.ids, options)
        self._machines: RowWorkers[Machine] = RowWorkers(
            "machines", "machines", ports.machine_store, readiness.handle, readiness.give_up, lambda row: row.attempts, *common
        )
        self._instances: RowWorkers[Instance] = RowWorkers(
            "placement", "placement", ports.instance_store, placement.handle, placement.give_up, lambda row: row.attempts, *common
        )
        alone = (ports.platform_store, ports.hints, ports.ids, ports.clock, options)
        pool, liveness, orphans = PoolController(ports, options), LivenessController(ports, options), OrphansController(ports, options)
        self._pool = PeriodicLoop("pool", pool.tick, *alone, options.scan_seconds * 5)
        self._liveness = PeriodicLoop("liveness", liveness.tick, *alone, options.liveness_seconds)
        self._orphans = PeriodicLoop("orphans", orphans.tick, *alone, options.orphans_seconds)
        self._metering = PeriodicLoop("metering", MeteringController(ports, options).tick, *alone, options.metering_seconds)
        self._disk = PeriodicLoop("disk", DiskController(ports).tick, *alone, options.disk_seconds)
        self._backup = BackupController(ports, ports.backups, options) if ports.backups is not None else None
        self._backups = PeriodicLoop("backup", self._backup.tick, *alone, options.lease_seconds / 3) if self._backup is not None else None

    async def run(self) -> None:
        """Until cancelled; then work under way is dropped, and goes on where it stood when someone runs again."""
        alone = [self._pool.run, self._liveness.run, self._orphans.run, self._metering.run, self._disk.run]
        loops = [self._machines.run, self._instances.run, *alone]
        try:
            await run_together(*loops, *([self._backups.run] if self._backups is not None else []))
        finally:
            if self._backup is not None:
                await self._backup.stop()
