"""What happens to Docker machines on a server that runs for months, whatever runs on them."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import psutil
import pytest

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.ports.machines import MachineHealth
from tests.integration.docker.inside import chat, container, run, started
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.waiting import until

pytestmark = [pytest.mark.openclaw, pytest.mark.docker]


async def test_a_gateway_that_hangs_is_ended_by_force(computer: Computer) -> None:
    ref, spec = await started(computer)
    await docker("pause", container(ref))
    status = await computer.gateways.status(seat(ref, spec))
    assert (status.running, status.ready) == (True, False)
    await computer.gateways.restart(seat(ref, spec), at_once=True)
    await until(lambda: computer.is_ready(ref))


async def test_a_supervisor_that_was_killed_leaves_no_second_container(computer: Computer) -> None:
    ref, _ = await started(computer)
    process = computer.process(ref).status()
    assert process.supervisor_pid
    assert process.child_pid
    os.kill(process.child_pid, signal.SIGSTOP)
    os.kill(process.supervisor_pid, signal.SIGKILL)
    await until(lambda: is_stopped(computer, ref))
    assert await is_running(ref)
    await computer.machines.start(ref)
    await until(lambda: computer.is_ready(ref))
    assert len((await docker("ps", "--quiet", "--filter", f"label=openclaw-hosted.machine={ref}")).split()) == 1
    psutil.Process(process.child_pid).kill() if psutil.pid_exists(process.child_pid) else None


async def test_a_machine_that_is_gone_is_followed_by_another_on_its_volume(computer: Computer) -> None:
    ref, spec = await started(computer)
    assert "okapi" in await chat(computer, ref, "okapi")
    await run(ref, "sh", "-c", "echo kept > .openclaw/note.txt")
    await computer.machines.terminate(ref)
    await until(lambda: is_gone(computer, ref))
    assert not await is_running(ref)

    later = replace((await computer.launch())[1], instance_id=spec.instance_id, generation=2, volume_id=spec.volume_id)
    machine = (await computer.machines.observe())[0]
    assert machine.machine_id
    await computer.vault.grant(spec.instance_id, machine.machine_id)
    await computer.gateways.start(seat(machine.provider_ref, later), later)
    await until(lambda: computer.is_ready(machine.provider_ref))
    assert await run(machine.provider_ref, "cat", ".openclaw/note.txt") == "kept"
    assert "zebra" in await chat(computer, machine.provider_ref, "zebra")


async def is_stopped(computer: Computer, ref: str) -> bool:
    return await computer.health(ref) is MachineHealth.STOPPED


async def is_gone(computer: Computer, ref: str) -> bool:
    return await computer.health(ref) is None


async def is_running(ref: str) -> bool:
    await asyncio.sleep(0)
    return bool(container(ref))
