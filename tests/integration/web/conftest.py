from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.instance import Phase, Step, StepName
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.services import AccountService, InstanceService, OpeningService, OperationsService, Services
from openclaw_hosted.web import WebOptions, create_app
from tests.integration.web.memory import (
    MemoryAccounts,
    MemoryClock,
    MemoryEdge,
    MemoryHints,
    MemoryInstances,
    MemoryMachines,
    MemoryPlatform,
)

PASSWORD = "correct horse battery"
SECRET_KEY = "sk-very-secret-0123456789"
ORIGIN = "http://localhost:8080"
PAGE = {"Accept": "text/html,*/*"}


@dataclass
class World:
    """A platform in memory with its web application, an admin, and two users."""

    clock: MemoryClock = field(default_factory=MemoryClock)
    accounts: MemoryAccounts = field(default_factory=MemoryAccounts)
    instances: MemoryInstances = field(default_factory=MemoryInstances)
    machines: MemoryMachines = field(default_factory=MemoryMachines)
    platform: MemoryPlatform = field(default_factory=MemoryPlatform)
    hints: MemoryHints = field(default_factory=MemoryHints)
    edge: MemoryEdge = field(default_factory=MemoryEdge)
    ready: dict[str, bool] = field(default_factory=lambda: {"store": True})
    secure: bool = False
    isolation_note: str | None = "Process mode: no isolation between machines."

    def services(self) -> Services:
        any_of = cast("Any", self)
        ids, caps = SystemIds(), Caps(50, 10)
        return Services(
            InstanceService(any_of.instances, any_of.machines, any_of.edge, any_of.edge, any_of.edge, any_of.hints, self.clock, ids, caps),
            OpeningService(
                any_of.instances, any_of.machines, any_of.accounts, any_of.platform, any_of.edge, any_of.edge, any_of.edge, self.clock
            ),
            AccountService(any_of.accounts, any_of.platform, any_of.edge, self.clock, ids),
            OperationsService(any_of.machines, any_of.instances, any_of.platform, self.hints, self.clock, PoolPolicy(image="2026.9.6")),
            self.edge,
        )

    def __post_init__(self) -> None:
        self.kit = self.services()
        self.app: FastAPI = create_app(self.kit, WebOptions(ORIGIN, self.secure, self.isolation_note, "1.2.3", 7, self._readiness))

    async def _readiness(self) -> dict[str, bool]:
        return self.ready

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)

    async def user(self, name: str, role: Role = Role.USER) -> User:
        return await self.kit.accounts.create_user(f"{name}@example.com", PASSWORD, role)

    @asynccontextmanager
    async def api(self, user: User) -> AsyncIterator[httpx.AsyncClient]:
        token = await self.kit.accounts.create_token(user, "test")
        async with self.client(Authorization=f"Bearer {token}") as client:
            client.base_url = httpx.URL(f"{ORIGIN}/api/v1")
            yield client

    @asynccontextmanager
    async def browser(self, user: User) -> AsyncIterator[Browser]:
        async with self.client(**PAGE) as client:
            answer = await client.post("/sign-in", data={"email": user.email, "password": PASSWORD})
            assert answer.status_code == 303
            yield Browser(client, await csrf_of(client))

    def run(self, instance_id: str) -> None:
        """Have an instance run on a machine, with the steps that led there."""
        machine = self.machines.put(len(self.machines.rows), MachineState.ASSIGNED, InstanceId(instance_id), self.clock.now())
        start = self.clock.now()
        names = [StepName.MACHINE, StepName.SECRET, StepName.GATEWAY, StepName.ROUTE, StepName.PROBE]
        self.instances.step_rows[instance_id] = [
            Step(name, 1, 1, start + number * 0.04, start + number * 0.04 + 0.038, None, "a hot spare was free" if number == 0 else None)
            for number, name in enumerate(names)
        ]
        self.instances.put(instance_id, phase=Phase.RUNNING, machine_id=MachineId(machine.id), generation=1)


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


async def csrf_of(client: httpx.AsyncClient) -> str:
    page = (await client.get("/account")).text
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', page)
    assert found is not None, page[:500]
    return found[1]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def admin(world: World) -> User:
    return await world.user("admin", Role.ADMIN)


@pytest.fixture
async def ada(world: World) -> User:
    return await world.user("ada")


@pytest.fixture
async def bob(world: World) -> User:
    return await world.user("bob")
