"""What happens to Docker machines on a server that runs for months."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import replace

import httpx
import psutil
import pytest

from openclaw_hosted.adapters.local.docker import docker
from openclaw_hosted.adapters.local.gateway_home import config_path
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, GatewaySpec, ModelProvider
from openclaw_hosted.ports.machines import MachineHealth
from tests.integration.docker.inside import container, hog, run
from tests.support.local_computer import Computer
from tests.support.waiting import until

pytestmark = [pytest.mark.openclaw, pytest.mark.docker]


async def started(computer: Computer) -> tuple[str, GatewaySpec]:
    ref, spec = await computer.launch()
    await computer.gateways.start(ref, spec)
    await until(lambda: computer.is_ready(ref), 300, 0.2)
    return ref, spec


async def chat(computer: Computer, ref: str, text: str) -> str:
    record = json.loads((computer.data_dir / "machines" / ref / "gateway.json").read_text())
    token = (await computer.vault.get(record["instance_id"]))[Credential.GATEWAY_TOKEN]
    machine = next(m for m in await computer.machines.observe() if m.provider_ref == ref)
    body = {"model": "openclaw", "messages": [{"role": "user", "content": text}]}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(
            f"http://{machine.address}/v1/chat/completions", json=body,
            headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.9"},
        )  # fmt: skip
    return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


async def test_a_gateway_that_uses_up_its_memory_is_killed_and_comes_back(computer: Computer) -> None:
    ref, _ = await started(computer)
    await hog(ref)
    await until(lambda: computer.process(ref).status().restarts >= 1, 60)
    await until(lambda: computer.is_ready(ref), 300, 0.2)
    assert "okapi" in await chat(computer, ref, "okapi")


async def test_settings_come_into_force_without_a_restart_and_refused_ones_are_named_and_mended(computer: Computer) -> None:
    ref, spec = await started(computer)
    document = dict(await computer.vault.get(spec.instance_id))
    child = computer.process(ref).status().child_pid
    own_echo = GatewaySettings(ModelProvider.COMPATIBLE, "echo", "http://127.0.0.1:8080/api/v1/oc-hosted/echo")
    await computer.vault.put(spec.instance_id, {**document, Credential.MODEL_API_KEY: document[Credential.GATEWAY_TOKEN]}, 2)
    await computer.gateways.apply(ref, replace(spec, revision=2, settings=own_echo))
    assert "giraffe" in await chat(computer, ref, "giraffe")
    assert computer.process(ref).status().child_pid == child

    config = config_path(computer.volumes.state_dir(spec.volume_id))
    await computer.gateways.stop(ref)
    own_choice = json.loads(config.read_text())["models"]["providers"]["custom"]
    config.write_text('{"gateway": {"nonsense": 1}}')
    await computer.gateways.start(ref, spec)
    await until(lambda: computer.process(ref).status().state == "refused", 60)
    status = await computer.gateways.status(ref)
    assert (status.running, status.exit_code) == (False, 78)
    assert "nonsense" in (status.problem or "")
    await computer.gateways.start(ref, replace(spec, revision=2, settings=own_echo))
    await until(lambda: computer.is_ready(ref), 300, 0.2)
    await computer.gateways.apply(ref, replace(spec, revision=2, settings=own_echo))
    assert json.loads(config.read_text())["models"]["providers"]["custom"] == own_choice
    assert "giraffe" in await chat(computer, ref, "giraffe")


async def test_a_gateway_that_hangs_is_ended_by_force(computer: Computer) -> None:
    ref, _ = await started(computer)
    await docker("pause", container(ref))
    status = await computer.gateways.status(ref)
    assert (status.running, status.ready) == (True, False)
    await computer.gateways.restart(ref, at_once=True)
    await until(lambda: computer.is_ready(ref), 300, 0.2)


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
    await until(lambda: computer.is_ready(ref), 300, 0.2)
    assert len((await docker("ps", "--quiet", "--filter", f"label=openclaw-hosted.machine={ref}")).split()) == 1
    psutil.Process(process.child_pid).kill() if psutil.pid_exists(process.child_pid) else None


async def test_a_machine_that_is_gone_is_followed_by_another_on_its_volume(computer: Computer) -> None:
    ref, spec = await started(computer)
    assert "okapi" in await chat(computer, ref, "okapi")
    await run(ref, "sh", "-c", "echo kept > .openclaw/workspace/note.txt")
    await computer.machines.terminate(ref)
    await until(lambda: is_gone(computer, ref), 60)
    assert not await is_running(ref)

    later = replace((await computer.launch())[1], instance_id=spec.instance_id, generation=2, volume_id=spec.volume_id)
    machine = (await computer.machines.observe())[0]
    assert machine.machine_id
    await computer.vault.grant(spec.instance_id, machine.machine_id)
    await computer.gateways.start(machine.provider_ref, later)
    await until(lambda: computer.is_ready(machine.provider_ref), 300, 0.2)
    assert await run(machine.provider_ref, "cat", ".openclaw/workspace/note.txt") == "kept"
    assert "zebra" in await chat(computer, machine.provider_ref, "zebra")


async def is_stopped(computer: Computer, ref: str) -> bool:
    return await computer.health(ref) is MachineHealth.STOPPED


async def is_gone(computer: Computer, ref: str) -> bool:
    return await computer.health(ref) is None


async def is_running(ref: str) -> bool:
    await asyncio.sleep(0)
    return bool(await docker("ps", "--quiet", "--filter", f"name=^/{container(ref)}$"))
