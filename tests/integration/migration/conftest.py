from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.states.copies import FolderStateCopies
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.domain.account import Role, User
from tests.integration.convergence.world import OWNER, World
from tests.integration.migration.arrival import ARRIVAL
from tests.integration.migration.world import MigrationWorld
from tests.support.clock import LoopClock
from tests.support.store import new_store


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MigrationWorld]:
    clock = LoopClock()
    store = await new_store(tmp_path / "platform.sqlite", clock)
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), None, None)
    made = MigrationWorld(World(store, clock))
    made.add()
    yield made
    await store.aclose()


@pytest.fixture
async def copies(tmp_path: Path, old: Path) -> FolderStateCopies:
    """From the folder that `old` is in to a volume that is there."""
    volumes = LocalVolumes(tmp_path / "data")
    await volumes.create(ARRIVAL.volume_id, "mc-1")
    volumes.state_dir(ARRIVAL.volume_id).joinpath("openclaw.json").write_text('{"gateway": {"port": 8080}}')
    return FolderStateCopies(volumes, {"fs-1": old.parents[1]})


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The state directory of that volume."""
    return tmp_path / "data" / "volumes" / ARRIVAL.volume_id / "state"
