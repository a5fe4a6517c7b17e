"""One process of the control plane: the production loops and services, on wires that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.controllers import ControllerOptions, ControlLoops, Ports
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.services.instances import InstanceService
from openclaw_hosted.services.opening import OpeningService
from openclaw_hosted.services.operations import OperationsService
from openclaw_hosted.services.restore_points import RestorePointService
from openclaw_hosted.store.accounts import SqlAccounts
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.hints import LocalHints
from openclaw_hosted.store.instances import SqlInstances
from openclaw_hosted.store.machines import SqlMachines
from openclaw_hosted.store.platform import SqlPlatform
from openclaw_hosted.store.restore_points import SqlRestorePoints
from simulation.ids import SeededIds, SkewedClock
from simulation.link import Link, Outside, Wire
from simulation.loop import PROCESS, Process


class PlaneHints(LocalHints):
    """Hints within the process, and passed on to the others, as over LISTEN and NOTIFY."""

    def __init__(self, link: Link, pass_on: Callable[[str], None]) -> None:
        super().__init__()
        self._link = link
        self._pass_on = pass_on

    async def hint(self, topic: str) -> None:
        """Wake whoever waits for it, here and elsewhere; nobody, where the process died over the transaction that gave it."""
        if not self._link.is_alive:
            return
        await super().hint(topic)
        self._pass_on(topic)

    async def hear(self, topic: str) -> None:
        """One came from another process."""
        await super().hint(topic)


@dataclass(frozen=True)
class Asking:
    """What people reach a control plane by."""

    instances: InstanceService
    opening: OpeningService
    operations: OperationsService
    restore_points: RestorePointService


class Plane:
    """A control plane from its start to its death; it is never started again, another one takes its number."""

    def __init__(self, outside: Outside, number: int, skew: float, options: ControllerOptions) -> None:
        self.number = number
        self.options = options
        self.clock = SkewedClock(outside.loop, skew)
        self.process = Process(number)
        self._outside = outside
        self._tasks: set[asyncio.Task[Any]] = set()
        self._context = outside.context.copy()
        self._context.run(PROCESS.set, self.process)

    def start(
        self,
        database: Database,
        targets: Mapping[str, object],
        ids: SeededIds,
        caps: Caps,
        die: Callable[[], None],
        pass_on: Callable[[str], None],
    ) -> None:
        """Run its loops. `targets` are the ports themselves, by the names that they have in `Ports`."""
        self.link = Link(self._outside, self.number, die)
        self.hints = PlaneHints(self.link, pass_on)
        stores = {
            "machine_store": SqlMachines(database, self.hints), "instance_store": SqlInstances(database, self.hints),
            "account_store": SqlAccounts(database), "platform_store": SqlPlatform(database, self.hints),
            "point_store": SqlRestorePoints(database, self.hints),
        }  # fmt: skip
        wires: dict[str, Any] = {name: Wire(self.link, name, target) for name, target in {**targets, **stores}.items()}
        ports = Ports(**wires, meter=KeptMeter(), clock=self.clock, ids=ids, hints=self.hints)
        options = self.options
        self.asking = Asking(
            InstanceService(
                ports.instance_store, ports.machine_store, ports.gateways, ports.router, ports.sealer, self.hints, self.clock, ids, caps,
                options.shards,
            ),
            OpeningService(
                ports.instance_store, ports.machine_store, ports.account_store, ports.platform_store, ports.gateways,
                ports.router, ports.gate, self.clock,
            ),
            OperationsService(ports.machine_store, ports.instance_store, ports.platform_store, self.hints, self.clock, options.policy),
            RestorePointService(ports.instance_store, ports.point_store, ports.platform_store, ports.points, self.clock, ids),
        )  # fmt: skip
        self._loops = self.do(ControlLoops(ports, options).run())

    def do(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something in this process."""
        task = self._outside.loop.create_task(work, context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What a request to this process answers. Raises `Unavailable` where it dies over it, or does not answer."""
        task = self.do(work)
        await asyncio.wait({task}, timeout=30)
        if not task.done():
            task.cancel()
            raise Unavailable("The control plane does not answer.")
        if task.cancelled():
            raise Unavailable("The control plane went away.")
        return task.result()

    def stop(self) -> None:
        """Ask it to end, as a new version is started."""
        self._loops.cancel()

    def kill(self) -> None:
        """End it at once: what it has not sent yet is never sent."""
        self.link.is_alive = False
        self._outside.loop.resume(self.process)
        for task in sorted(self._tasks, key=hash):
            task.cancel()
