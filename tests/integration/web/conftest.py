from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import structlog
import uvicorn
from fastapi import FastAPI

from openclaw_hosted.adapters.fake.access import FakeRouter
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.outgoing import Own
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.adapters.webhooks import HttpWebhooks
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.adaptive import AdaptivePolicy
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.instance import Instance, Phase, StepName
from openclaw_hosted.domain.machine import MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.origins import Addresses
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.domain.shards import Shards
from openclaw_hosted.ports.gateways import SenderRequest
from openclaw_hosted.ports.restore_points import RestorePoints
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.services import (
    AccountService,
    AdviceService,
    AlarmService,
    ConsoleService,
    CostService,
    DiagnosisService,
    HistoryService,
    InstanceService,
    KeyService,
    MailService,
    MetricsService,
    MigrationsService,
    OpeningService,
    OperationsService,
    RestorePointService,
    RoomService,
    SenderService,
    Services,
    SeveralService,
    WebhookService,
)
from openclaw_hosted.services.targeting import AdaptiveTarget
from openclaw_hosted.store import Store, tables
from openclaw_hosted.web import WebOptions, create_app
from tests.integration.web.memory import MemoryClock, MemoryEdge
from tests.support.actors import acting
from tests.support.passwords import QUICK_HASHER
from tests.support.store import new_store
from tests.support.waiting import until

PASSWORD = "correct horse battery"
SECRET_KEY = "sk-very-secret-0123456789"
BOT_TOKEN = "4242:AAExampleTokenOfATestBot-0123456789abcd"
ORIGIN = "http://localhost:8080"
APPS: dict[tuple[object, ...], FastAPI] = {}
"""Applications by what tells them apart: FastAPI takes a while to make one. Each belongs to the world that was made last."""
PAGE = {"Accept": "text/html,*/*"}


def a_sender(request_id: str, name: str) -> SenderRequest:
    """Somebody on Telegram who wrote just now."""
    return SenderRequest(request_id, "Telegram", "123456789", name, 1_790_000_000.0, 1_790_003_600.0)


@dataclass
class World:
    """A platform on SQLite with its web application; machines and edge are made up."""

    store: Store
    clock: MemoryClock = field(default_factory=MemoryClock)
    edge: MemoryEdge = field(default_factory=MemoryEdge)
    cloud: FakeCloud = field(default_factory=lambda: FakeCloud(SystemClock()))
    channels: list[Any] = field(default_factory=list)
    """Who is told of alarms."""
    ready: dict[str, bool] = field(default_factory=lambda: {"store": True})
    secure: bool = False
    billed: bool = False
    budget_usd: float | None = None
    sends_mail: bool = True
    isolation_note: str | None = "Process mode: no isolation between machines."

    real_points: RestorePoints | None = None
    """Where given, they are used in place of those in memory."""

    @property
    def points(self) -> FakeRestorePoints:
        return FakeRestorePoints(self.cloud)

    def services(self) -> Services:
        policy = PoolPolicy(image="2026.9.6")
        store, edge, clock, ids, caps = self.store, cast("Any", self.edge), self.clock, SystemIds(), Caps(50, 10)
        operations = OperationsService(store.machines, store.instances, store.platform, store.hints, clock, policy)
        console = ConsoleService(
            store.console, store.history, store.machines, store.instances, store.platform, store.alarms, clock, policy, store.news,
            self.budget_usd,
        )  # fmt: skip
        return Services(
            InstanceService(store.instances, store.machines, edge, edge, edge, store.hints, clock, ids, caps, Shards()),
            HistoryService(store.instances, store.platform, clock, store.news, store.machines, policy.image),
            OpeningService(store.instances, store.machines, store.accounts, store.platform, edge, edge, edge, clock),
            SenderService(store.instances, store.machines, store.platform, edge, clock),
            AccountService(store.accounts, store.platform, edge, clock, ids, QUICK_HASHER),
            operations,
            CostService(
                store.machines, store.instances, store.platform, store.restore_points, policy, Deployment(), clock, billed=self.billed
            ),
            KeyService(edge, clock),
            RoomService(store.instances, edge, clock),
            RestorePointService(store.instances, store.restore_points, store.platform, self.real_points or self.points, clock, ids),
            WebhookService(store.webhooks, HttpWebhooks(Own(), allows_private=True), edge, clock, ids),
            self.diagnosis(),
            AlarmService(store.alarms, store.platform, self.channels, policy, ORIGIN),
            MetricsService(
                store.machines,
                store.instances,
                store.platform,
                store.restore_points,
                store.alarms,
                store.history,
                policy,
                clock,
                Deployment() if self.billed else None,
            ),
            console,
            AdviceService(
                store.platform,
                store.history,
                AdaptiveTarget(store.history, clock, policy, AdaptivePolicy()),
                policy,
                clock,
                _deployment=Deployment() if self.billed else None,
            ),
            MigrationsService(store.migrations, clock),
            SeveralService(console, operations, store.machines, store.instances, store.console, clock),
            MailService(store.news, clock, self.sends_mail),
        )

    def diagnosis(self) -> DiagnosisService:
        store, cloud = self.store, self.cloud
        world = FakeMachines(cloud), FakeGateways(cloud), FakeRouter(cloud), FakeVolumes(cloud), self.edge
        return DiagnosisService(store.instances, store.machines, store.platform, *world, self.clock)

    def __post_init__(self) -> None:
        self.kit = self.services()
        options = WebOptions(Addresses(ORIGIN), self.secure, self.isolation_note, "1.2.3", 7, self._readiness)
        kind = (self.secure, self.billed, self.isolation_note)
        if kind not in APPS:
            APPS[kind] = create_app(self.kit, options)
        self.app = APPS[kind]
        self.app.state.web = replace(self.app.state.web, services=self.kit, options=options, streams=Counter())

    def reach_at(self, addresses: Addresses, *, is_one_place: bool = False) -> None:
        """Have users open it there."""
        web = self.app.state.web
        self.app.state.web = replace(web, options=replace(web.options, addresses=addresses, is_one_place=is_one_place))

    async def _readiness(self) -> dict[str, bool]:
        return self.ready

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)

    async def user(self, name: str, role: Role = Role.USER) -> User:
        return await self.kit.accounts.create_user(SETUP, f"{name}@example.com", PASSWORD, role)

    @asynccontextmanager
    async def api(self, user: User) -> AsyncIterator[httpx.AsyncClient]:
        token = await self.kit.accounts.create_token(acting(user), "test")
        async with self.client(Authorization=f"Bearer {token}") as client:
            client.base_url = httpx.URL(f"{ORIGIN}/api/v1")
            yield client

    @asynccontextmanager
    async def browser(self, user: User) -> AsyncIterator[Browser]:
        async with self.client(**PAGE) as client:
            answer = await client.post("/sign-in", data={"email": user.email, "password": PASSWORD})
            assert answer.status_code == 303
            yield Browser(client, await csrf_of(client))

    async def row(self, instance_id: str) -> Instance:
        return await self.store.instances.get(InstanceId(instance_id))

    async def put(self, instance_id: str, **columns: Any) -> None:
        """Have an instance be as the controllers would have left it."""
        async with self.store.database.write() as connection:
            await connection.execute(tables.instances.update().where(tables.instances.c.id == instance_id).values(**columns))

    async def add_machine(self, state: MachineState, instance_id: str | None = None) -> MachineId:
        """A machine in this state, bound to an instance where one is given."""
        ids, now = SystemIds(), self.clock.now()
        machine_id = ids.machine_id()
        async with self.store.database.write() as connection:
            await connection.execute(
                tables.machines.insert().values(
                    id=machine_id, state=state, reserved_instance_id=instance_id or ids.instance_id(), volume_id=ids.volume_id(),
                    image="2026.9.6", warmth=Warmth.HOT, instance_id=instance_id, generation=1, provider_ref=f"process-{machine_id}",
                    created_at=now, state_changed_at=now,
                )
            )  # fmt: skip
        return machine_id

    async def run(self, instance_id: str) -> None:
        """Have an instance run on a machine, with the steps that led there."""
        machine_id, start = await self.add_machine(MachineState.ASSIGNED, instance_id), self.clock.now()
        names = [StepName.MACHINE, StepName.SECRET, StepName.GATEWAY, StepName.ROUTE, StepName.PROBE]
        values = [
            {
                "instance_id": instance_id, "name": name, "generation": 1, "attempt": 1, "started_at": start + number * 0.04,
                "ended_at": start + number * 0.04 + 0.038, "note": None if number else "A spare machine was free.",
            }
            for number, name in enumerate(names)
        ]  # fmt: skip
        async with self.store.database.write() as connection:
            await connection.execute(tables.steps.insert(), values)
        await self.put(instance_id, phase=Phase.RUNNING, machine_id=machine_id, generation=1)


@dataclass
class Browser:
    """A signed-in browser without JavaScript."""

    client: httpx.AsyncClient
    csrf: str

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, headers: Any = None, **form: Any) -> httpx.Response:
        return await self.client.post(path, data={"csrf_token": self.csrf, **form}, headers=headers)

    async def create(self, name: str = "My assistant", **form: Any) -> str:
        answer = await self.post("/instances", name=name, **form)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"].rsplit("/", 1)[1]


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """The application on a free loopback port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    address = f"http://localhost:{listener.getsockname()[1]}"
    world.reach_at(Addresses(address))
    server = uvicorn.Server(uvicorn.Config(world.app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve([listener]))
    await until(lambda: server.started)
    try:
        yield address
    finally:
        server.should_exit = True
        await task
        listener.close()


async def csrf_of(client: httpx.AsyncClient) -> str:
    page = (await client.get("/account")).text
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', page)
    assert found is not None, page[:500]
    return found[1]


@pytest.fixture(autouse=True)
def plain_tracebacks() -> Iterator[None]:
    """An error that nobody foresaw is logged with its traceback. structlog's own shows all locals, which takes seconds. Lines of requests
    stay out of what commands print, which run in this process here."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        processors=[*before["processors"][:-1], structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)],
    )
    yield
    structlog.configure(**before)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await new_store(tmp_path / "platform.sqlite")
    yield World(store)
    await store.aclose()


@pytest.fixture
async def admin(world: World) -> User:
    return await world.user("admin", Role.ADMIN)


@pytest.fixture
async def ada(world: World) -> User:
    return await world.user("ada")


@pytest.fixture
async def bob(world: World) -> User:
    return await world.user("bob")
