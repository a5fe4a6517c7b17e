"""One machine with the real OpenClaw: who takes it over gets nowhere from it, and it comes through a bad day."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.containers import HOST_NAME, DockerHost, cpu_limit
from openclaw_hosted.adapters.local.docker.image import image_bytes
from openclaw_hosted.adapters.local.docker.network import ensure_guard
from openclaw_hosted.adapters.local.environment import certificate_files
from openclaw_hosted.adapters.local.gateway_home import config_path
from openclaw_hosted.domain.gateway import NO_KEY, Credential, GatewaySettings, ModelProvider
from tests.integration.docker.inside import (
    RunningMachine,
    address_of,
    chat,
    described,
    fails,
    hog,
    listening,
    own_address,
    reach,
    run,
)
from tests.support.seats import seat
from tests.support.waiting import until

pytestmark = [pytest.mark.openclaw, pytest.mark.docker, pytest.mark.asyncio(loop_scope="package")]
MOST_BYTES = 900_000_000


async def test_the_image_is_small(image: str) -> None:
    assert await image_bytes(image) <= MOST_BYTES


async def test_a_machine_reaches_neither_another_nor_this_computer(real: RunningMachine) -> None:
    docker_host, neighbour = real.computer.docker, f"neighbour-{real.ref}"
    assert docker_host
    await docker(
        "run", "--detach", "--name", neighbour, "--network", docker_host.network.name, docker_host.image,
        "node", "-e", "require('net').createServer().listen(8080)",
    )  # fmt: skip
    try:
        await nothing_is_reachable(real.ref, neighbour, docker_host)
    finally:
        await docker("rm", "--force", neighbour)


async def nothing_is_reachable(ref: str, neighbour: str, docker_host: DockerHost) -> None:
    gateway = docker_host.network.gateway
    found = json.loads(await docker("inspect", neighbour))[0]["NetworkSettings"]["Networks"][docker_host.network.name]
    assert await reach(ref, found["IPAddress"], 8080) != "open"
    with listening("0.0.0.0") as port:  # noqa: S104 - a service of this computer that is open to all
        for host in (gateway, own_address()):
            assert await reach(ref, host, port) != "open", host
        await without_the_firewall_it_would_be(ref, gateway, port, docker_host)
        assert await reach(ref, gateway, port) != "open"
    rules = await docker(*nft(docker_host), "list", "ruleset")
    assert "169.254.0.0/16 drop" in rules


async def without_the_firewall_it_would_be(ref: str, gateway: str, port: int, docker_host: DockerHost) -> None:
    await docker(*nft(docker_host), "delete", "table", "inet", docker_host.network.table)
    assert await reach(ref, gateway, port) == "open"
    await ensure_guard(docker_host.network, docker_host.image)


def nft(docker_host: DockerHost) -> tuple[str, ...]:
    return ("run", "--rm", "--network", "host", "--user", "0", "--cap-add", "NET_ADMIN", "--entrypoint", "nft", docker_host.image)


async def test_a_container_has_no_rights_and_no_secrets_in_sight(real: RunningMachine) -> None:
    computer, ref, spec = real.computer, real.ref, real.spec
    token = (await computer.vault.get(spec.instance_id))[Credential.GATEWAY_TOKEN]
    status = dict(line.split(":\t", 1) for line in (await run(ref, "cat", "/proc/self/status")).splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert await run(ref, "id", "-u") != "0"
    assert await run(ref, "hostname") == HOST_NAME
    for path in ("/x", "/etc/x", "/opt/x", "/usr/x", "/run/openclaw/x", "/opt/compile-cache/x"):
        assert await fails(ref, "touch", path), path
    assert (await run(ref, "sh", "-c", "ls /var/run/docker.sock 2>&1 || true")).endswith("No such file or directory")

    facts = await described(ref)
    host = facts["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (2048 << 20, 2048 << 20, 512)
    assert (host["CpuShares"], host["CpuPeriod"], host["CpuQuota"]) == (512, 100_000, cpu_limit(None) * 100_000)
    assert (host["ReadonlyRootfs"], host["Privileged"], host["CapDrop"]) == (True, False, ["ALL"])
    assert host["PortBindings"]["8080/tcp"][0]["HostIp"] == "127.0.0.1"
    assert token not in json.dumps(facts)
    assert token not in await run(ref, "env")
    mounted = {mount["Source"] for mount in facts["Mounts"] if mount["Type"] == "bind"}
    machine = computer.data_dir / "machines" / ref
    volumes = computer.volumes
    own = {str(volumes.state_dir(spec.volume_id)), str(volumes.home_dir(spec.volume_id)), str(machine / "secrets")}
    assert mounted - {str(path) for path in certificate_files().values()} == own
    assert await address_of(ref) != "127.0.0.1"


async def test_a_gateway_that_uses_up_its_memory_is_killed_and_comes_back(real: RunningMachine) -> None:
    computer, ref = real.computer, real.ref
    before = computer.process(ref).status().restarts
    await hog(ref)
    await until(lambda: computer.process(ref).status().restarts > before)
    await until(lambda: computer.is_ready(ref))
    assert "okapi" in await chat(computer, ref, "okapi")


async def test_settings_come_into_force_without_a_restart_and_refused_ones_are_named_and_mended(real: RunningMachine) -> None:
    computer, ref, spec = real.computer, real.ref, real.spec
    document = dict(await computer.vault.get(spec.instance_id))
    child = computer.process(ref).status().child_pid
    own_echo = GatewaySettings(ModelProvider.COMPATIBLE, "echo", "http://127.0.0.1:8080/api/v1/oc-hosted/echo")
    await computer.vault.put(spec.instance_id, {**document, Credential.MODEL_API_KEY: document[Credential.GATEWAY_TOKEN]}, 2)
    await computer.gateways.apply(seat(ref, spec), replace(spec, revision=2, settings=own_echo))
    assert "giraffe" in await chat(computer, ref, "giraffe")
    assert computer.process(ref).status().child_pid == child

    config = config_path(computer.volumes.state_dir(spec.volume_id))
    await computer.gateways.stop(seat(ref, spec))
    own_choice = json.loads(config.read_text())["models"]["providers"]["custom"]
    config.write_text('{"gateway": {"nonsense": 1}}')
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.process(ref).status().state == "refused")
    status = await computer.gateways.status(seat(ref, spec))
    assert (status.running, status.exit_code) == (False, 78)
    assert "nonsense" in (status.problem or "")
    await computer.gateways.start(seat(ref, spec), replace(spec, revision=2, settings=own_echo))
    await until(lambda: computer.is_ready(ref))
    await computer.gateways.apply(seat(ref, spec), replace(spec, revision=2, settings=own_echo))
    assert json.loads(config.read_text())["models"]["providers"]["custom"] == own_choice
    assert "giraffe" in await chat(computer, ref, "giraffe")


async def test_a_turn_whose_model_can_not_be_reached_says_so(real: RunningMachine) -> None:
    """OpenClaw by itself tries again, for longer than this waits."""
    computer, ref, spec = real.computer, real.ref, real.spec
    document = dict(await computer.vault.get(spec.instance_id))
    await computer.vault.put(spec.instance_id, {**document, Credential.MODEL_API_KEY: NO_KEY}, 3)
    absent = GatewaySettings(ModelProvider.COMPATIBLE, "llama3", "http://127.0.0.1:11434/v1")
    await computer.gateways.apply(seat(ref, spec), replace(spec, revision=3, settings=absent))
    said = await chat(computer, ref, "hello")
    assert "can't be reached" in said
    assert "ECONNREFUSED" in said
    await computer.gateways.apply(seat(ref, spec), replace(spec, revision=4))
    assert "okapi" in await chat(computer, ref, "okapi")
