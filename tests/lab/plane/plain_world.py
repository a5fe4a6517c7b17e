"""Plain machines with secrets of the test's own, and the words of the platform's machine script."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from lab.plane.base import CommandResult, MachineOrder, Metadata
from lab.plane.plain import PlainMachines, Timing
from openclaw_hosted.adapters.aws.commands import machine_script
from openclaw_hosted.adapters.aws.user_data import render_user_data
from openclaw_hosted.adapters.openclaw.rpc import GatewayClient
from tests.support.waiting import PATIENCE_SECONDS, until

TOKEN = "a-token-of-the-gateway"
IMAGE = "registry.test/openclaw:1"
DISK = "/dev/sdf"
SCRIPT = machine_script()


def order(instance_id: str, volume_id: str | None = None, user_data: str = "#!/bin/sh\n", **more: Any) -> MachineOrder:
    volumes = {DISK: (volume_id, 8)} if volume_id else {}
    return MachineOrder(instance_id, "us-west-2a", "t3.small", user_data, "role", volumes, **more)


def volume_of(machine: str) -> str:
    """The disk that a machine `i-...` of these tests comes with."""
    return f"vol-{machine[2:].encode().hex():0>4}"


def user_data() -> str:
    """The platform's own."""
    return render_user_data(IMAGE, ["https://claw.example.com"], ["10.0.0.0/16"], "oc")


def config(instance: str, **providers: Any) -> dict[str, Any]:
    token = {"source": "file", "provider": "platform", "id": "/gatewayToken"}
    return {
        "gateway": {"auth": {"mode": "token", "token": token}, "controlUi": {"basePath": f"/{instance}"}},
        "models": {"providers": providers or {"echo": {}}},
    }


@dataclass
class World:
    """Secrets by name, each with the one machine that may read it."""

    secrets: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    looks: Counter[str] = field(default_factory=Counter)
    """How often each machine has asked about itself: its user data does, in each attempt."""

    def __post_init__(self) -> None:
        self.machines = PlainMachines(self._read, self._metadata, Timing(pause=0.05))

    def _metadata(self, instance_id: str) -> Metadata:
        self.looks[instance_id] += 1
        return Metadata(instance_id, "us-west-2a", "us-west-2", "role", {}, self.tags.get(instance_id, {}))

    def _read(self, instance_id: str, name: str) -> str:
        allowed, content = self.secrets[name]
        if allowed != instance_id:
            raise PermissionError(name)
        return json.dumps(content)

    def give(self, machine: str, name: str, **content: str) -> None:
        self.secrets[name] = (machine, {"gatewayToken": TOKEN, **content})

    def do(self, machine: str, verb: str, *, timeout: float = PATIENCE_SECONDS, **words: Any) -> CommandResult:
        line = " ".join(["openclaw_machine", verb, *(f"{name}={value}" for name, value in words.items())])
        return self.machines.run(machine, f"{SCRIPT}{line}", timeout)

    def start(self, machine: str, instance: str = "oc-1111", **words: Any) -> CommandResult:
        """`start` with words that fit the machine, unless others are given."""
        patch = words.pop("patch", config(instance))
        encoded = base64.b64encode(json.dumps({"patch": patch, "prune": ["models.providers", "channels"]}).encode()).decode()
        fitting = {
            "instance": instance, "generation": 1, "volume": volume_of(machine), "fresh": 1, "image": IMAGE, "secret": f"oc/{instance}",
            "config": encoded,
        }  # fmt: skip
        return self.do(machine, "start", **{**fitting, **words})

    def boot(self, machine: str, instance: str = "oc-1111", **more: Any) -> None:
        """A machine with an empty disk and a secret."""
        self.machines.launch(order(machine, volume_of(machine), **more))
        self.give(machine, f"oc/{instance}")

    def facts(self, machine: str) -> dict[str, str]:
        """What `inspect` says."""
        told = self.do(machine, "inspect")
        assert told.exit_code == 0, told
        return dict(line.split("=", 1) for line in told.stdout.splitlines())

    async def tries_again(self, machine: str) -> None:
        """Wait until its user data has made a whole attempt, which asks no more than three times, and begun another."""
        before = self.looks[machine]
        await until(lambda: self.looks[machine] >= before + 6)

    async def rebooted(self, machine: str) -> None:
        """Reboot it, and wait until it has done what it does by itself."""
        self.machines.reboot(machine)
        await until(lambda: all(thread.name != f"boot-{machine}" for thread in threading.enumerate()))

    async def answers(self, machine: str) -> None:
        async def live() -> bool:
            async with httpx.AsyncClient() as http:
                try:
                    answer = await http.get(f"http://{self.machines.address(machine)}/healthz", timeout=1)
                except httpx.HTTPError:
                    return False
                return bool(answer.json() == {"ok": True, "status": "live"})

        await until(live)

    def client(self, http: httpx.AsyncClient, machine: str, token: str = TOKEN) -> GatewayClient:
        return GatewayClient(http, self.machines.address(machine), token)
