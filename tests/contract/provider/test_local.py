"""The local provider, held against the contracts."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.adapters.local.files import locked
from openclaw_hosted.adapters.local.install import PLUGIN_DIR, OpenClawRelease
from openclaw_hosted.adapters.local.machines import TERMINATE_MARK
from openclaw_hosted.adapters.local.restore_points import LocalRestorePoints
from openclaw_hosted.domain.naming import VolumeId
from openclaw_hosted.ports.machines import MachineHealth
from tests.contract.provider.machines import MachinesContract
from tests.contract.provider.restore_points import RestorePointsContract
from tests.contract.provider.vault import VaultContract
from tests.contract.provider.volumes import VolumesContract
from tests.support.local_computer import Computer
from tests.support.waiting import until


class LocalHarness(Computer):
    """The local provider on a data directory of its own."""

    async def time_passes(self) -> None:
        await asyncio.sleep(0.05)

    @property
    def points(self) -> LocalRestorePoints:
        """As a control plane makes them when it starts, with whatever room there is."""
        return LocalRestorePoints(self.data_dir, self.volumes, free_bytes_wanted=0)

    async def write(self, volume_id: VolumeId, number: int) -> None:
        with closing(sqlite3.connect(self.volumes.state_dir(volume_id) / "memory.sqlite")) as database:
            database.execute("CREATE TABLE IF NOT EXISTS kept (number INTEGER)")
            database.execute("DELETE FROM kept")
            database.execute("INSERT INTO kept VALUES (?)", (number,))
            database.commit()

    async def written(self, volume_id: VolumeId) -> int:
        with closing(sqlite3.connect(self.volumes.state_dir(volume_id) / "memory.sqlite")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return int(database.execute("SELECT number FROM kept").fetchone()[0])

    async def break_machine(self, provider_ref: str) -> None:
        await until(lambda: self.process(provider_ref).status().supervisor_pid)
        pid = self.process(provider_ref).status().supervisor_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


NO_RELEASE = OpenClawRelease(OPENCLAW_VERSION, Path("/nowhere"), Path("/bin/false"), Path("/nowhere"), PLUGIN_DIR)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[LocalHarness]:
    made = LocalHarness(tmp_path, NO_RELEASE)
    yield made
    await made.clear()


class TestLocalMachines(MachinesContract):
    pass


class TestLocalVolumes(VolumesContract):
    pass


class TestLocalRestorePoints(RestorePointsContract):
    pass


class TestLocalVault(VaultContract):
    pass


async def test_machines_are_seen_while_another_control_plane_that_was_stopped_asks_one_to_end(harness: LocalHarness) -> None:
    ref, _ = await harness.launch()
    await harness.process(ref).supervise()
    with locked(harness.data_dir / "machines" / ref / "desired.lock"):
        (harness.data_dir / "machines" / ref / TERMINATE_MARK).touch()
        assert [machine.health for machine in await harness.machines.observe()] == [MachineHealth.SHUTTING_DOWN]
    await until(harness._is_empty)
