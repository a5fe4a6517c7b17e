from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lab.cloud.latency import Delays
from lab.plain import PlainLab, plain_lab
from lab.site import Plan
from openclaw_hosted.domain.account import Role, User
from tests.integration.aws.world import OWNER, AwsWorld
from tests.support.store import new_store


@pytest.fixture(scope="module")
def lab() -> Iterator[PlainLab]:
    """A fast lab with three load balancers and two zones, for all tests of a module. Moto has one state a process: a lab begins it anew."""
    with plain_lab(Plan(shards=3), delays=Delays(remembered_seconds=0.0)) as made:
        yield made
        assert made.cloud.crashes == []


@pytest.fixture
async def world(lab: PlainLab, tmp_path: Path) -> AsyncIterator[AwsWorld]:
    store = await new_store(tmp_path / "platform.sqlite")
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), None, None)
    made = AwsWorld(lab, store)
    try:
        yield made
        lab.cloud.faults.calm()
        await made.clear()
    finally:
        await store.aclose()
