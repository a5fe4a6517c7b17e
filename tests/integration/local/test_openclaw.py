"""The local provider with the real OpenClaw."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from openclaw_hosted.adapters.local.gateway_home import config_path
from openclaw_hosted.adapters.local.processes import supervisor
from openclaw_hosted.domain.errors import Conflict, NotFound
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, GatewaySpec, ModelProvider
from openclaw_hosted.ports.machines import MachineHealth
from tests.integration.local.senders import a_sender_is_answered_once_approved, will_find
from tests.support.echo_model import EchoServer
from tests.support.local_computer import Computer
from tests.support.platform import share_install
from tests.support.seats import seat
from tests.support.serving import serving
from tests.support.stand_in import install_stand_in
from tests.support.supervised import hurry_restarts, supervisor_has_looked
from tests.support.telegram import Telegram
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.openclaw
WITH_STAND_IN = [install_stand_in, pytest.param(share_install, marks=pytest.mark.long)]
"""Where it matters little what runs on a machine."""


async def chat(computer: Computer, ref: str, token: str, text: str) -> str:
    machine = next(m for m in await computer.machines.observe() if m.provider_ref == ref)
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        answer = await http.post(
            f"http://{machine.address}/v1/chat/completions",
            json={"model": "openclaw", "messages": [{"role": "user", "content": text}]},
            headers={"Authorization": f"Bearer {token}"},
        )
    answer.raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"])


async def is_stopped(computer: Computer, ref: str) -> bool:
    return await computer.health(ref) is MachineHealth.STOPPED


async def is_gone(computer: Computer, ref: str) -> bool:
    return await computer.health(ref) is None


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with serving(Telegram()) as server:
        yield server


async def test_a_gateway_lives_from_launch_to_termination(computer: Computer, echo: EchoServer, telegram: Telegram) -> None:
    ref, spec = await computer.launch()
    will_find(telegram, computer, spec)
    token = (await computer.vault.get(spec.instance_id))[Credential.GATEWAY_TOKEN]
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
    await computer.gateways.warm_up(seat(ref, spec))
    state_dir = computer.volumes.state_dir(spec.volume_id)
    assert not list(state_dir.rglob("*.zst"))

    claimed = replace(spec, generation=1, revision=1)
    await computer.gateways.start(seat(ref, spec), claimed)
    await computer.gateways.apply(seat(ref, spec), claimed)
    assert "zebra" in await chat(computer, ref, token, "zebra")

    ticket = await computer.gateways.mint_bootstrap(seat(ref, spec))
    assert ticket.token not in repr(ticket)
    assert 500 < ticket.expires_at - time.time() <= 601
    assert (await computer.gateways.mint_bootstrap(seat(ref, spec))).token != ticket.token

    await a_model_key_comes_into_force_without_a_restart(computer, echo, ref, replace(claimed, revision=2))
    await the_platforms_new_address_comes_into_force(computer, ref, replace(claimed, revision=5))
    await a_sender_is_answered_once_approved(computer, telegram, ref, replace(claimed, revision=6))
    await a_killed_gateway_comes_back_and_is_adopted(computer, ref, token)
    lines = await computer.gateways.logs(seat(ref, spec), 5000)
    assert lines
    assert not any("Migrated legacy config" in line for line in lines)
    assert not any(token in line or "sk-first" in line for line in lines)

    marked = supervisor.marked_processes(str(computer.process(ref).directory))
    assert len(marked) >= 3
    await computer.machines.terminate(ref)
    await until(lambda: is_gone(computer, ref))
    assert not any(psutil.pid_exists(pid) for pid in marked)
    assert not (computer.data_dir / "machines" / ref).exists()
    with pytest.raises(NotFound):
        await computer.gateways.status(seat(ref, spec))


async def a_model_key_comes_into_force_without_a_restart(computer: Computer, echo: EchoServer, ref: str, spec: GatewaySpec) -> None:
    spec = replace(spec, settings=GatewaySettings(ModelProvider.COMPATIBLE, "echo", echo.base_url), name="Ada's helper")
    document = dict(await computer.vault.get(spec.instance_id))
    token = document[Credential.GATEWAY_TOKEN]
    before = computer.process(ref).status().child_pid
    for revision, key in ((2, "sk-first-key-0001"), (3, "sk-first-key-0002")):
        await computer.vault.put(spec.instance_id, {**document, Credential.MODEL_API_KEY: key}, revision)
        await computer.gateways.apply(seat(ref, spec), replace(spec, revision=revision))
        assert "giraffe" in await chat(computer, ref, token, "giraffe")
        assert echo.keys[-1] == key
    config = json.loads(config_path(computer.volumes.state_dir(spec.volume_id)).read_text())
    assert config["agents"]["entries"]["main"]["identity"]["name"] == "Ada's helper"
    await computer.gateways.apply(seat(ref, spec), replace(spec, revision=4, settings=GatewaySettings(ModelProvider.ANTHROPIC)))
    await computer.gateways.apply(seat(ref, spec), replace(spec, revision=5, settings=GatewaySettings()))
    assert "gnu" in await chat(computer, ref, token, "gnu")
    assert computer.process(ref).status().child_pid == before


async def a_killed_gateway_comes_back_and_is_adopted(computer: Computer, ref: str, token: str) -> None:
    psutil.Process(computer.process(ref).status().child_pid).send_signal(signal.SIGKILL)
    await until(lambda: computer.process(ref).status().restarts == 1)
    computer.gateways = computer.new_gateways()
    await until(lambda: computer.is_ready(ref))
    machines = computer.new_machines()
    assert [m.health for m in await machines.observe()] == [MachineHealth.UP]
    assert "okapi" in await chat(computer, ref, token, "okapi")


async def the_platforms_new_address_comes_into_force(computer: Computer, ref: str, spec: GatewaySpec) -> None:
    before = computer.process(ref).status().child_pid
    assert not (await computer.gateways.status(seat(ref, spec))).outdated
    computer.gateways = computer.new_gateways("http://localhost:9090")
    assert (await computer.gateways.status(seat(ref, spec))).outdated
    await computer.gateways.apply(seat(ref, spec), spec)
    assert not (await computer.gateways.status(seat(ref, spec))).outdated
    config = json.loads(config_path(computer.volumes.state_dir(spec.volume_id)).read_text())
    assert config["gateway"]["controlUi"]["allowedOrigins"] == ["http://localhost:9090"]
    assert computer.process(ref).status().child_pid == before


@pytest.mark.parametrize("computer", WITH_STAND_IN, indirect=True)  # by the real one in make test: docker/test_real_machine.py
async def test_settings_that_openclaw_refuses_are_reported_and_not_tried_again(
    computer: Computer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry_restarts(monkeypatch, tmp_path, 0)
    ref, spec = await computer.launch()
    config_path(computer.volumes.state_dir(spec.volume_id)).write_text('{"gateway": {"nonsense": 1}}')
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.process(ref).status().exit_code is not None)
    status = await computer.gateways.status(seat(ref, spec))
    assert (status.running, status.ready, status.exit_code) == (False, False, 78)
    assert "nonsense" in (status.problem or "")
    await supervisor_has_looked(computer.process(ref))
    assert len((computer.data_dir / "machines" / ref / "exits.jsonl").read_text().splitlines()) == 1
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
    assert "nonsense" not in config_path(computer.volumes.state_dir(spec.volume_id)).read_text()


@pytest.mark.parametrize("computer", WITH_STAND_IN, indirect=True)
async def test_a_machine_whose_supervisor_was_killed_comes_back_with_its_state(computer: Computer) -> None:
    ref, spec = await computer.launch()
    token = (await computer.vault.get(spec.instance_id))[Credential.GATEWAY_TOKEN]
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
    note = computer.volumes.state_dir(spec.volume_id) / "note.txt"
    note.write_text("kept")
    supervisor_pid = computer.process(ref).status().supervisor_pid
    assert supervisor_pid
    os.kill(supervisor_pid, signal.SIGKILL)
    await until(lambda: is_stopped(computer, ref))
    await computer.machines.start(ref)
    await until(lambda: computer.is_ready(ref))
    assert note.read_text() == "kept"
    assert "lynx" in await chat(computer, ref, token, "lynx")


async def test_a_volume_with_another_instances_data_is_refused(computer: Computer) -> None:
    ref, spec = await computer.launch()
    await computer.volumes.mark(spec.volume_id, computer.ids.instance_id())
    with pytest.raises(Conflict):
        await computer.gateways.start(seat(ref, spec), spec)
    assert not (await computer.gateways.status(seat(ref, spec))).running
