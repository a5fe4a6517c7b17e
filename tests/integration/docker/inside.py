"""What a tenant can do who has taken over the machine: any command in its container."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.containers import MACHINE_LABEL
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.waiting import PATIENCE_SECONDS, until

CONNECT = """
const [host, port] = process.argv.slice(1);
const socket = require("net").connect({ host, port: Number(port), timeout: 2000 });
const say = (word) => { console.log(word); process.exit(); };
socket.on("connect", () => say("open")).on("timeout", () => say("silent")).on("error", (problem) => say(problem.code));
"""


@dataclass(frozen=True)
class RunningMachine:
    """A machine whose gateway is ready."""

    computer: Computer
    ref: str
    spec: GatewaySpec


async def started(computer: Computer) -> tuple[str, GatewaySpec]:
    """A machine whose gateway is ready."""
    ref, spec = await computer.launch()
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
    return ref, spec


async def chat(computer: Computer, ref: str, text: str) -> str:
    """One turn with a machine's gateway: its reply."""
    record = json.loads((computer.data_dir / "machines" / ref / "gateway.json").read_text())
    token = (await computer.vault.get(record["instance_id"]))[Credential.GATEWAY_TOKEN]
    machine = next(m for m in await computer.machines.observe() if m.provider_ref == ref)
    body = {"model": "openclaw", "messages": [{"role": "user", "content": text}]}
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        answer = await http.post(
            f"http://{machine.address}/v1/chat/completions", json=body,
            headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.9"},
        )  # fmt: skip
    return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


def container(ref: str) -> str:
    """The id of the machine's container; empty where there is none."""
    command = ["docker", "ps", "--quiet", "--filter", f"label={MACHINE_LABEL}={ref}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


async def run(ref: str, *command: str) -> str:
    """Run a command in the machine's container, as its user; what it printed."""
    return await docker("exec", container(ref), *command)


async def fails(ref: str, *command: str) -> bool:
    try:
        await run(ref, *command)
    except PortError:
        return True
    return False


async def reach(ref: str, host: str, port: int) -> str:
    """`open`, or what became of a connection from inside the machine."""
    return await run(ref, "node", "-e", CONNECT, host, str(port))


async def described(ref: str) -> dict[str, Any]:
    """What Docker knows of the container."""
    facts: dict[str, Any] = json.loads(await docker("inspect", container(ref)))[0]
    return facts


async def address_of(ref: str) -> str:
    """On the network of machines."""
    networks = (await described(ref))["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


@contextmanager
def listening(host: str) -> Iterator[int]:
    """A service of this computer: its port."""
    with socket.create_server((host, 0), backlog=16) as server:
        yield int(server.getsockname()[1])


def own_address() -> str:
    """An address of this computer on a network that it is part of."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


async def hog(ref: str) -> None:
    """Use up the machine's memory, with the gateway as the kernel's first choice to end."""
    mark = "for file in /proc/[0-9]*/oom_score_adj; do grep -q node ${file%oom_score_adj}comm && echo 1000 > $file; done 2>/dev/null; "
    mark += "grep -l openclaw /proc/[0-9]*/comm | while read file; do echo 1000 > ${file%comm}oom_score_adj; done"
    await run(ref, "sh", "-c", mark)
    fill = "const kept = []; setInterval(() => kept.push(Buffer.alloc(32e6, 1)), 5);"
    with suppress(PortError):
        await asyncio.wait_for(run(ref, "node", "-e", fill), PATIENCE_SECONDS)
