from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lab.cloud.latency import Delays
from lab.plain import PlainLab, plain_lab
from lab.site import Plan
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.store import open_store
from tests.integration.aws.world import OWNER, AwsWorld


@pytest.fixture(scope="module")
def lab() -> Iterator[PlainLab]:
    """A fast lab with three load balancers and two zones, for all tests of a module."""
    with plain_lab(Plan(shards=3), delays=Delays(remembered_seconds=0.0)) as made:
        yield made
        assert made.cloud.crashes == []


@pytest.fixture
async def world(lab: PlainLab, tmp_path: Path) -> AsyncIterator[AwsWorld]:
    store = await open_store(f"sqlite:///{tmp_path}/platform.sqlite")
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), None, None)
    made = AwsWorld(lab, store)
    try:
        yield made
        lab.cloud.faults.calm()
        await made.clear()
    finally:
        await store.aclose()
