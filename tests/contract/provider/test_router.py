"""The local edge, held against the contracts of `Router` and `Gate`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.router import Target
from openclaw_hosted.server import WebPlace, serving
from tests.contract.provider.router_suite import GateContract, RouterContract
from tests.support.edge import Edge, is_of_gateway, platform_app, running_gateway, seen_by
from tests.support.ports import free_port

pytestmark = pytest.mark.xdist_group("router")


class LocalHarness:
    """A real edge; gateways and platform that say who they are."""

    checks_owner = True

    def __init__(self, edge: Edge, stack: AsyncExitStack) -> None:
        self._edge = edge
        self._stack = stack
        self._cookies: dict[str, str] = {}
        self.router, self.gate = edge.router, edge.gate
        self.clock, self.ids = SystemClock(), SystemIds()

    async def target(self, *, answers: bool = True) -> Target:
        if answers:
            return (await self._stack.enter_async_context(running_gateway())).target
        machine_id = self.ids.machine_id()
        return Target(machine_id, machine_id, f"127.0.0.1:{free_port()}")

    def session(self, user: UserId, expires_at: float) -> Session:
        cookie = self.ids.token()
        session = Session(hashlib.sha256(cookie.encode()).hexdigest(), user, self.clock.now(), expires_at)
        self._cookies[session.hash] = cookie
        return session

    async def reached(self, instance_id: InstanceId, session: Session | None = None) -> MachineId | None:
        cookie = f"ochs={self._cookies[session.hash]}" if session else ""
        answer = await self._edge.ask(f"/{instance_id}/", cookie)
        return MachineId(seen_by(answer)["machine"]) if is_of_gateway(answer) else None

    async def clear(self) -> None:
        for route in await self.router.list():
            await self.router.release(route.instance_id)
        for session_hash in await self.gate.sessions():
            await self.gate.revoke(session_hash)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    made = Edge(tmp_path_factory.mktemp("edge"), free_port())
    try:
        asyncio.run(made.local.ensure())
        yield made
    finally:
        asyncio.run(made.local.stop())


@pytest.fixture
async def harness(edge: Edge) -> AsyncIterator[LocalHarness]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(platform_app, WebPlace(edge.web_socket)))
        made = LocalHarness(edge, stack)
        yield made
        await made.clear()


class TestLocalRouter(RouterContract):
    pass


class TestLocalGate(GateContract):
    pass
