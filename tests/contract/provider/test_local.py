"""The local provider, held against the contracts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.adapters.local.install import PLUGIN_DIR, OpenClawRelease
from tests.contract.provider.machines import MachinesContract
from tests.contract.provider.vault import VaultContract
from tests.contract.provider.volumes import VolumesContract
from tests.support.local_computer import Computer
from tests.support.waiting import until


class LocalHarness(Computer):
    """The local provider on a data directory of its own."""

    async def time_passes(self) -> None:
        await asyncio.sleep(0.05)

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


class TestLocalVault(VaultContract):
    pass
