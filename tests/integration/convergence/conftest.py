from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.domain.account import Role, User
from tests.integration.convergence.world import OWNER, World
from tests.support.clock import LoopClock
from tests.support.store import new_store


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = LoopClock()
    store = await new_store(tmp_path / "platform.sqlite", clock)
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), None, None)
    yield World(store, clock)
    await store.aclose()
