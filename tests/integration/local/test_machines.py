"""Local machines: what the contract of the port leaves to the provider."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.adapters.local.install import PLUGIN_DIR, OpenClawRelease
from openclaw_hosted.adapters.local.machines import BYTES_KEPT_FREE, LocalMachines
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.domain.errors import NoCapacity
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.machines import LaunchSpec
from tests.support.local_computer import Computer
from tests.support.waiting import until

NO_RELEASE = OpenClawRelease(OPENCLAW_VERSION, Path("/nowhere"), Path("/bin/false"), Path("/nowhere"), PLUGIN_DIR)


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Computer]:
    made = Computer(tmp_path, NO_RELEASE)
    yield made
    await made.clear()


def spec(computer: Computer) -> LaunchSpec:
    return LaunchSpec(computer.ids.machine_id(), computer.ids.volume_id(), InstanceId("oc-22222222"), "2026.9.6")


async def test_machines_launched_at_once_have_ports_far_apart(bare: Computer) -> None:
    await asyncio.gather(*(bare.machines.launch(spec(bare)) for _ in range(5)))
    ports = sorted(int((m.address or "").rpartition(":")[2]) for m in await bare.machines.observe())
    assert len(ports) == 5
    assert all(later - earlier >= 120 for earlier, later in pairwise(ports))


async def test_a_port_in_use_is_not_given_to_a_machine(bare: Computer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        machines = LocalMachines(bare.data_dir, bare.runtimes, bare.clock, ports=range(port, port + 1))
        with pytest.raises(NoCapacity):
            await machines.launch(spec(bare))
    assert not await machines.observe()


async def test_without_memory_there_is_no_capacity(bare: Computer, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=BYTES_KEPT_FREE + 1))
    assert await bare.machines.room() == 0
    with pytest.raises(NoCapacity):
        await bare.machines.launch(spec(bare))


async def test_machines_that_have_not_grown_yet_are_counted_in(bare: Computer, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    room = await bare.machines.room()
    await bare.machines.launch(spec(bare))
    assert room is not None
    assert await bare.machines.room() == room - 1


async def test_a_termination_asked_for_before_a_crash_is_seen_through_by_the_next_control_plane(bare: Computer) -> None:
    ref = await bare.machines.launch(spec(bare))
    (bare.data_dir / "machines" / ref / "terminate").touch()
    later = bare.new_machines()

    async def is_gone() -> bool:
        return not await later.observe()

    await until(is_gone)


async def test_a_volume_remembers_its_holder_in_another_control_plane(bare: Computer) -> None:
    made = spec(bare)
    await bare.machines.launch(made)
    await bare.volumes.create(made.volume_id, made.machine_id)
    await bare.volumes.attach(made.volume_id, made.machine_id)
    (found,) = await LocalVolumes(bare.data_dir).list()
    assert found.attached_to == made.machine_id
