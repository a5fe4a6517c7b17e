"""A whole platform on the fake provider, in a thread of this process: commands reach it by its local socket, tests from inside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Flag
from threading import Thread
from typing import Any, TypeVar

from openclaw_hosted import datadir, local_socket
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeMachines, FakeVolumes
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.bootstrap import Platform, open_platform
from openclaw_hosted.bootstrap import platform as wiring
from openclaw_hosted.bootstrap.shared import share
from openclaw_hosted.controllers import ControllerOptions, ControlLoops, Ports
from openclaw_hosted.controllers.alarms import AlarmsController
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.alarms import Alarm, AlarmState
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.server import WebPlace, serving
from openclaw_hosted.settings import load_settings
from openclaw_hosted.store import tables
from openclaw_hosted.web import LocalDoor, create_app
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, wait_until
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS

Result = TypeVar("Result")
OWNER = "user@example.com"
RARELY = 1e9


@dataclass
class WholePlatform:
    """A whole platform on the fake provider, in a thread of its own; commands reach it through its local socket."""

    data_dir: Path
    platform: Platform
    loop: asyncio.AbstractEventLoop
    ports: Ports
    options: ControllerOptions

    @property
    def cloud(self) -> FakeCloud:
        machines = self.platform.provided.machines
        assert isinstance(machines, FakeMachines)
        return machines._cloud

    @property
    def volumes(self) -> FakeVolumes:
        volumes = self.platform.provided.volumes
        assert isinstance(volumes, FakeVolumes)
        return volumes

    def ask(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Have the platform's loop do it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_SECONDS)

    def until(self, is_so: Callable[[], object], what: str) -> None:
        wait_until(is_so, PATIENCE_SECONDS, lambda: f"never: {what}", every=0.02)

    def instance(self, instance_id: str) -> Instance:
        return self.ask(self.platform.store.instances.get(InstanceId(instance_id)))

    def machine(self, machine_id: str) -> Machine:
        return self.ask(self.platform.store.machines.get(MachineId(machine_id)))

    def spares(self) -> int:
        return self.ask(self.platform.store.machines.count_live()).get(MachineState.AVAILABLE, 0)

    def events(self, name: EventName) -> list[Event]:
        return [event for event in self.ask(self.platform.store.platform.events(limit=500)) if event.name is name]

    def say(self, name: EventName, instance: Instance, **detail: str | int | float) -> None:
        event = Event(name, self.now, instance.id, instance.machine_id, instance.owner_id, detail)
        self.ask(self.platform.store.platform.add_event(event))

    @property
    def now(self) -> float:
        return self.ports.clock.now()

    def put(self, instance_id: InstanceId, **columns: object) -> None:
        self.ask(self._put(instance_id, columns))

    async def _put(self, instance_id: InstanceId, columns: Mapping[str, object]) -> None:
        async with self.platform.store.database.write() as connection:
            await connection.execute(tables.instances.update().where(tables.instances.c.id == instance_id).values(**columns))

    def judge(self, alarm: Alarm, **options: Any) -> AlarmState:
        """Have it judged now, as if what is so had been so for as long as the alarm wants."""
        store = self.platform.store.alarms
        self.ask(store.save([AlarmState(alarm.name, bad_since=self.now - alarm.for_seconds - 1)], ()))
        self.ask(AlarmsController(self.ports, store, replace(self.options, **options)).tick())
        return next(state for state in self.ask(store.list()) if state.name == alarm.name)

    def clean(self) -> None:
        """No alarm is on, and the pool has its spare."""
        self.cloud.hook = None
        self.volumes.large = ()
        self.ask(self.platform.store.platform.set_pool(paused=False))
        self.ask(self.platform.store.platform.follow_settings())
        self.ask(self.ports.hints.hint(Topic.POOL))
        self.until(lambda: self.spares() == 1, "the pool has its spare")


def _run(data_dir: Path, began: Callable[[WholePlatform], None], stop: Flag) -> None:
    """Until it is told to stop."""
    asyncio.run(_serve(data_dir, began, stop))


async def _serve(data_dir: Path, began: Callable[[WholePlatform], None], stop: Flag) -> None:
    settings = load_settings(
        {"OPENCLAW_HOSTED_DATA_DIR": data_dir, "PROVIDER": "fake", "POOL_SPARE_COUNT": 1, "OPENCLAW_HOSTED_ADMIN_EMAIL": ADMIN_EMAIL,
         "OPENCLAW_HOSTED_ADMIN_PASSWORD": ADMIN_PASSWORD, "PORT": free_port()}
    )  # fmt: skip
    datadir.prepare(data_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(datadir.held(data_dir, tuple(datadir.Role)))
        opened = await stack.enter_async_context(open_platform(settings, lambda _: None))
        shared = share(settings, opened.store, opened.provided, SystemClock(), SystemIds())
        ports, options = wiring._control_ports(shared), wiring._control_options(shared)
        options = replace(
            options, alarms_seconds=RARELY, orphans_seconds=RARELY, scan_seconds=0.1,
            policy=replace(options.policy, backoff_seconds=0.02, backoff_cap_seconds=0.05),
            poll_seconds=0.02, refill_waits_seconds=0.0,
        )  # fmt: skip
        platform = replace(opened, provided=replace(opened.provided, edge=None), loops=ControlLoops(ports, options))
        await platform.first_account()
        await platform.services.accounts.create_user(SETUP, OWNER, ADMIN_PASSWORD)
        datadir.remember(settings)
        app = create_app(platform.services, wiring._web_options(settings, platform.mark, platform.provided, platform._readiness))
        place = WebPlace(socket=local_socket.path_of(data_dir), private=True)
        await stack.enter_async_context(serving(LocalDoor(app), place))
        await stack.enter_async_context(platform.controlling())
        began(WholePlatform(data_dir, platform, asyncio.get_running_loop(), ports, options))
        await asyncio.to_thread(stop.wait)


@contextmanager
def whole_platform() -> Iterator[WholePlatform]:
    """One for the length of a block, with an admin, a user (`OWNER`) and one spare."""
    made: list[WholePlatform] = []
    ready, stop = Flag(), Flag()

    def began(platform: WholePlatform) -> None:
        made.append(platform)
        ready.set()

    with TemporaryDirectory(prefix="och-platform-") as folder:
        thread = Thread(target=_run, args=(Path(folder), began, stop))
        thread.start()
        try:
            while not ready.wait(0.05):
                assert thread.is_alive(), "the platform did not start"
            yield made[0]
        finally:
            stop.set()
            thread.join()
