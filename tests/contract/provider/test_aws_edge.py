"""The AWS provider without a load balancer, held against the contracts of `Router` and `Gate`: a real edge before the lab's machines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from hashlib import sha256

import httpx
import pytest

from lab.plain import PlainLab
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.server import WebPlace, serving
from tests.contract.provider.router_suite import GateContract, RouterContract
from tests.contract.provider.test_aws import AwsHarness, clear, lab
from tests.support.aws import provided_on, without_balancer
from tests.support.edge import SEEN, Edge, platform_app
from tests.support.ports import free_port

__all__ = ["lab"]
pytestmark = pytest.mark.xdist_group("aws-edge")


class AwsEdgeHarness(AwsHarness):
    """The same account, reached through this computer's edge."""

    checks_owner = True

    def __init__(self, lab: PlainLab, provided: Provided, stack: AsyncExitStack) -> None:
        super().__init__(lab, provided, stack)
        self._cookies: dict[str, str] = {}
        """By the hash of the session."""

    def session(self, user: UserId, expires_at: float) -> Session:
        cookie = self.ids.token()
        made = Session(sha256(cookie.encode()).hexdigest(), user, self.clock.now(), expires_at)
        self._cookies[made.hash] = cookie
        return made

    async def reached(self, instance_id: InstanceId, session: Session | None = None) -> MachineId | None:
        headers = {"Cookie": f"ochs={self._cookies[session.hash]}"} if session else {}
        async with httpx.AsyncClient() as client:
            answer = await client.get(self.router.public_url(instance_id), headers=headers)
        seen = answer.text.partition(SEEN.decode())[2]
        return MachineId(json.loads(seen)["machine"]) if seen else None


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    made = Edge(tmp_path_factory.mktemp("edge"), free_port())
    try:
        yield made
    finally:
        asyncio.run(made.local.stop())


@pytest.fixture
async def harness(lab: PlainLab, edge: Edge) -> AsyncIterator[AwsEdgeHarness]:
    settings = without_balancer(edge.data_dir, edge.port)
    async with provided_on(lab.site, **settings) as provided, AsyncExitStack() as stack:
        assert provided.edge is not None
        await provided.edge.ensure()
        await stack.enter_async_context(serving(platform_app, WebPlace(edge.web_socket)))
        made = AwsEdgeHarness(lab, provided, stack)
        yield made
        for session_hash in await made.gate.sessions():
            await made.gate.revoke(session_hash)
        await clear(made)


class TestEdgeRouter(RouterContract):
    pass


class TestEdgeGate(GateContract):
    pass
