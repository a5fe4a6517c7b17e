"""Plain machines: their gateways over HTTP, their disks, their faults."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest

from lab.plane.plain_gateway import Fault
from openclaw_hosted.adapters.openclaw.rpc import RpcRefused
from openclaw_hosted.adapters.openclaw.senders import sender_requests
from openclaw_hosted.domain.errors import Denied
from tests.lab.plane.plain_world import DISK, TOKEN, World, config, order, volume_of
from tests.support.waiting import PATIENCE_SECONDS, until

VOLUME = volume_of("i-x")


async def running(world: World, machine: str = "i-x", instance: str = "oc-1111") -> None:
    world.boot(machine, instance)
    assert world.start(machine, instance).exit_code == 0
    await world.answers(machine)


async def test_the_gateway_does_what_the_platforms_own_client_asks(world: World, http: httpx.AsyncClient) -> None:
    await running(world)
    client = world.client(http, "i-x")
    assert await client.turn("hello", session_key="warmup", model="echo/echo") == "You said: hello"
    assert (await client.bridge("sessions.list"))["sessions"] == [{"key": "agent:main:warmup"}]
    assert (await client.bridge("sessions.delete", {"key": "agent:main:warmup", "deleteTranscript": True}))["archived"] == []
    assert (await client.bridge("sessions.list"))["sessions"] == []
    await client.bridge("sessions.patch", {"key": "agent:main:main"})
    await client.tool("memory_search", {"query": "hello"}, session_key="agent:main:main")
    ticket = await client.bridge("browser.bootstrap")
    assert ticket["bootstrapToken"]
    assert ticket["expiresAtMs"] > time.time() * 1000
    assert await sender_requests(client) == []
    with pytest.raises(RpcRefused):
        await client.bridge("no.such.method")


async def test_settings_are_patched_over_what_was_read_and_nothing_else(world: World, http: httpx.AsyncClient) -> None:
    await running(world)
    client = world.client(http, "i-x")
    seen = await client.admin("config.get")
    patch = {"models": {"providers": {"openai": {"apiKey": "k"}, "echo": None}}}
    await client.admin("config.patch", {"raw": json.dumps(patch), "baseHash": seen["hash"], "replacePaths": []})
    assert (await client.admin("models.authStatus"))["providers"] == [{"provider": "openai"}]
    with pytest.raises(RpcRefused, match="changed since"):
        await client.admin("config.patch", {"raw": "{}", "baseHash": seen["hash"]})
    world.machines.break_machine("i-x", Fault.SETTINGS_REFUSED)
    seen = await client.admin("config.get")
    with pytest.raises(RpcRefused, match="invalid config"):
        await client.admin("config.patch", {"raw": "{}", "baseHash": seen["hash"]})


async def test_only_who_knows_the_token_is_answered_but_the_page_is_open(world: World, http: httpx.AsyncClient) -> None:
    await running(world)
    origin = f"http://{world.machines.address('i-x')}"
    with pytest.raises(Denied):
        await world.client(http, "i-x", "wrong").bridge("identity")
    for path in ("/v1/chat/completions", "/tools/invoke", "/api/v1/admin/rpc"):
        assert (await http.post(f"{origin}{path}", json={})).status_code == 401
    for path in ("/oc-1111", "/oc-1111/", "/oc-1111/chat?x=1"):
        assert "<openclaw-app" in (await http.get(f"{origin}{path}")).text
    assert (await http.get(f"{origin}/oc-11112/")).status_code == 404
    assert (await http.get(f"{origin}/readyz")).json() == {"ready": True}


async def test_a_disk_keeps_its_data_over_the_end_of_its_machine(world: World, http: httpx.AsyncClient) -> None:
    await running(world)
    await world.client(http, "i-x").turn("remember me", session_key="main", model="echo/echo")
    world.machines.terminate("i-x")
    world.machines.terminate("i-x")
    assert world.machines.power("i-x") == "gone"
    world.machines.launch(order("i-y"))
    world.give("i-y", "oc/oc-1111")
    world.machines.attach("i-y", DISK, VOLUME)
    assert world.start("i-y", volume=VOLUME, fresh=0, generation=2).exit_code == 0
    await world.answers("i-y")
    assert world.machines.volumes.get(VOLUME).conversation == [{"session": "main", "user": "remember me", "reply": "You said: remember me"}]
    assert world.machines.volumes.get(VOLUME).mark == "oc-1111"


async def test_a_disk_in_use_is_taken_by_force_only_and_has_one_machine(world: World) -> None:
    await running(world)
    world.machines.launch(order("i-y"))
    with pytest.raises(ValueError, match="is attached to i-x"):
        world.machines.attach("i-y", DISK, VOLUME)
    assert world.machines.detach(VOLUME) is False
    with pytest.raises(ValueError, match="is attached"):
        world.machines.delete_volume(VOLUME)
    assert world.machines.detach(VOLUME, force=True) is True
    assert world.facts("i-x")["running"] == "0"
    world.machines.delete_volume(VOLUME)
    with pytest.raises(LookupError):
        world.machines.volumes.get(VOLUME)


async def test_a_stopped_gateway_lets_its_disk_go(world: World) -> None:
    await running(world)
    assert world.do("i-x", "stop").exit_code == 0
    assert world.do("i-x", "stop").exit_code == 0
    assert world.machines.detach(VOLUME) is True


async def test_a_reboot_leaves_a_machine_its_disks_and_its_address_and_takes_mounts_rules_and_processes(
    world: World, http: httpx.AsyncClient
) -> None:
    await running(world)
    machine, origin = world.machines._machines["i-x"], f"http://{world.machines.address('i-x')}"
    assert machine.host.metadata_closed
    await world.client(http, "i-x").turn("remember me", session_key="main", model="echo/echo")
    machine.host.enabled.clear()
    await world.rebooted("i-x")
    assert world.machines.power("i-x") == "running"
    assert (machine.host.metadata_closed, world.machines.volumes.get(VOLUME).mounted, world.facts("i-x")["running"]) == (False, False, "0")
    with pytest.raises(httpx.ConnectError):
        await http.get(f"{origin}/healthz")
    assert world.do("i-x", "revive").exit_code == 0
    await world.answers("i-x")
    assert (machine.host.metadata_closed, f"http://{world.machines.address('i-x')}") == (True, origin)
    assert len(world.machines.volumes.get(VOLUME).conversation) == 1


async def test_the_unit_that_the_platforms_script_installs_brings_the_gateway_back(world: World) -> None:
    await running(world)
    await world.rebooted("i-x")
    await world.answers("i-x")
    world.machines.detach(VOLUME, force=True)
    await world.rebooted("i-x")
    assert world.facts("i-x")["running"] == "0", "a volume that went elsewhere meanwhile"
    assert world.do("i-x", "revive").exit_code == 5


async def test_what_runs_and_what_was_stopped_is_not_revived(world: World, http: httpx.AsyncClient) -> None:
    await running(world)
    before = await world.client(http, "i-x").bridge("identity")
    assert world.do("i-x", "revive").exit_code == 0
    assert await world.client(http, "i-x").bridge("identity") == before
    world.do("i-x", "stop")
    assert world.do("i-x", "revive").exit_code == 0
    assert world.facts("i-x")["instance"] == ""


async def test_a_machine_that_lost_its_power_answers_nothing_and_comes_back_with_its_gateway(world: World, http: httpx.AsyncClient) -> None:
    await running(world)
    origin = f"http://{world.machines.address('i-x')}"
    world.machines.cut_power("i-x")
    assert world.machines.power("i-x") == "stopped"
    with pytest.raises(httpx.ConnectError):
        await http.get(f"{origin}/healthz")
    with pytest.raises(LookupError):
        world.do("i-x", "inspect")
    world.machines.start("i-x")
    await world.answers("i-x")
    assert f"http://{world.machines.address('i-x')}" == origin


async def test_a_crashed_gateway_is_started_again_and_its_connections_are_cut(world: World, http: httpx.AsyncClient) -> None:
    await running(world)
    host, _, port = world.machines.address("i-x").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    before = (await world.client(http, "i-x").bridge("identity"))["pid"]
    world.machines.crash_gateway("i-x", 137, oom=True)
    assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
    writer.close()
    await until(lambda: world.facts("i-x")["restarts"] == "1")
    await world.answers("i-x")
    assert (await world.client(http, "i-x").bridge("identity"))["pid"] != before
    assert world.facts("i-x")["oom"] == "1"


async def test_a_gateway_that_always_crashes_is_started_again_and_again(world: World) -> None:
    world.boot("i-x")
    world.machines.break_machine("i-x", Fault.GATEWAY_CRASHES)
    assert world.start("i-x").exit_code == 0
    await until(lambda: int(world.facts("i-x")["restarts"]) >= 2)
    world.machines.mend_machine("i-x")
    await world.answers("i-x")


async def test_a_gateway_that_hangs_takes_connections_and_says_nothing(world: World, http: httpx.AsyncClient) -> None:
    await running(world)
    world.machines.break_machine("i-x", Fault.GATEWAY_HANGS)
    with pytest.raises(httpx.ReadTimeout):
        await http.get(f"http://{world.machines.address('i-x')}/healthz", timeout=0.3)
    world.machines.mend_machine("i-x")
    await world.answers("i-x")


async def test_a_gateway_takes_as_long_to_start_as_it_is_told(world: World) -> None:
    world.machines.timing.gateway_start = 3600.0
    world.boot("i-x")
    world.start("i-x")
    world.boot("i-y", "oc-2222")
    await until(lambda: "starting" in logs_of(world, "i-x"))
    world.machines.timing.gateway_start = 0.0
    world.start("i-y", "oc-2222")
    await world.answers("i-y")
    assert "ready" in logs_of(world, "i-y")
    assert "ready" not in logs_of(world, "i-x")


def logs_of(world: World, machine: str) -> str:
    return world.do(machine, "logs", lines=20).stdout


async def test_30_machines_in_one_process_each_answer_as_themselves(world: World, http: httpx.AsyncClient) -> None:
    for number in range(30):
        world.boot(f"i-{number}", f"oc-{1000 + number}")
        assert world.start(f"i-{number}", f"oc-{1000 + number}", patch=config(f"oc-{1000 + number}")).exit_code == 0
    addresses = [world.machines.address(f"i-{number}") for number in range(30)]
    assert len(set(addresses)) == 30
    await world.answers("i-29")
    for number, address in enumerate(addresses):
        answer = await http.post(
            f"http://{address}/api/v1/oc-hosted/rpc",
            json={"method": "identity"},
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        assert answer.json()["payload"]["instanceId"] == f"oc-{1000 + number}"
