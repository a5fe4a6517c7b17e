"""Whoever takes over a machine gets nowhere from it: measured from inside the container."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.containers import DockerHost
from openclaw_hosted.adapters.local.docker import docker
from openclaw_hosted.adapters.local.gateway_home import config_path
from openclaw_hosted.adapters.local.image import image_bytes
from openclaw_hosted.adapters.local.network import ensure_guard
from openclaw_hosted.domain.gateway import Credential
from tests.integration.docker.inside import address_of, described, fails, listening, own_address, reach, run
from tests.support.local_computer import Computer
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.openclaw, pytest.mark.docker]
MOST_BYTES = 650_000_000


async def test_the_image_is_small(image: str) -> None:
    assert await image_bytes(image) <= MOST_BYTES


async def test_a_machine_reaches_neither_another_nor_this_computer(computer: Computer, docker_host: DockerHost) -> None:
    (one, spec), (other, _) = [await computer.launch() for _ in range(2)]
    await computer.gateways.start(one, spec)
    await until(lambda: computer.is_ready(one), 300, 0.2)
    await docker(
        "run", "--detach", "--name", f"neighbour-{other}", "--network", docker_host.network.name, docker_host.image,
        "node", "-e", "require('net').createServer().listen(8080)",
    )  # fmt: skip
    try:
        await nothing_is_reachable(one, f"neighbour-{other}", docker_host)
    finally:
        await docker("rm", "--force", f"neighbour-{other}")


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


async def test_a_container_has_no_rights_and_no_secrets_in_sight(computer: Computer) -> None:
    ref, spec = await computer.launch()
    token = (await computer.vault.get(spec.instance_id))[Credential.GATEWAY_TOKEN]
    await computer.gateways.start(ref, spec)
    await until(lambda: computer.is_ready(ref), 300, 0.2)

    status = dict(line.split(":\t", 1) for line in (await run(ref, "cat", "/proc/self/status")).splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert await run(ref, "id", "-u") != "0"
    assert await run(ref, "hostname") == spec.instance_id
    for path in ("/x", "/etc/x", "/opt/x", "/usr/x", "/run/openclaw/x", "/opt/compile-cache/x"):
        assert await fails(ref, "touch", path), path
    assert (await run(ref, "sh", "-c", "ls /var/run/docker.sock 2>&1 || true")).endswith("No such file or directory")

    facts = await described(ref)
    host = facts["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (1536 << 20, 1536 << 20, 512)
    assert (host["ReadonlyRootfs"], host["Privileged"], host["CapDrop"]) == (True, False, ["ALL"])
    assert host["PortBindings"]["8080/tcp"][0]["HostIp"] == "127.0.0.1"
    assert token not in json.dumps(facts)
    assert token not in await run(ref, "env")
    mounted = {mount["Source"] for mount in facts["Mounts"] if mount["Type"] == "bind"}
    machine = computer.data_dir / "machines" / ref
    assert mounted == {str(computer.volumes.state_dir(spec.volume_id)), str(machine / "secrets")}
    assert await address_of(ref) != "127.0.0.1"


async def test_what_a_tenant_plants_does_not_lead_the_platform_elsewhere(computer: Computer, tmp_path: Path) -> None:
    """The platform reads and writes OpenClaw's configuration on the volume, perhaps as root."""
    ref, spec = await computer.launch()
    secret = tmp_path / "elsewhere.json"
    secret.write_text('{"models": {"providers": {"stolen": {"baseUrl": "x"}}}}')
    config = config_path(computer.volumes.state_dir(spec.volume_id))
    config.symlink_to(secret)
    before = secret.read_bytes()
    await computer.gateways.start(ref, spec)
    assert not config.is_symlink()
    assert "stolen" not in config.read_text()
    assert secret.read_bytes() == before
    await until(lambda: computer.is_ready(ref), 300, 0.2)

    await computer.gateways.stop(ref)
    config.unlink()
    os.mkfifo(config)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await computer.gateways.start(ref, spec)
    await until(lambda: computer.is_ready(ref), 300, 0.2)
