"""Where machines are taken away from under a user: processes on this computer, or the full lab, which takes the time of AWS."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import psutil

from bench.harness import say
from lab.cloud.latency import Delays, Latencies
from lab.nested import NestedLab, nested_lab
from lab.site import Plan
from openclaw_hosted.adapters.local.docker.image import ensure_image
from openclaw_hosted.adapters.local.gateway_home import GatewayHome
from openclaw_hosted.adapters.local.install import ensure_openclaw
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap import open_vault
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.support.lab_platform import LabPlatform
from tests.support.platform import RunningPlatform, running_platform, share_install
from tests.support.ports import free_port

SPARES = 1
ASK = """docker exec -e TEXT={text} openclaw-gateway node -e '
const {{ gatewayToken }} = JSON.parse(require("fs").readFileSync("/run/openclaw/secrets.json", "utf8"));
const headers = {{ authorization: "Bearer " + gatewayToken, "content-type": "application/json" }};
const body = JSON.stringify({{ model: "openclaw", messages: [{{ role: "user", content: process.env.TEXT }}] }});
fetch("http://127.0.0.1:8080/v1/chat/completions", {{ method: "POST", headers, body }}).then((it) => process.exit(it.ok ? 0 : 1));'"""
"""One turn by the gateway's own API."""
LOOK = "grep -rqaF {text} $(docker inspect -f '{{{{range .Mounts}}}}{{{{.Source}}}} {{{{end}}}}' openclaw-gateway)"


@dataclass(frozen=True, slots=True)
class Machine:
    """As the API tells of it."""

    id: str
    ref: str


class Place(Protocol):
    """A platform with real OpenClaws, and what can be done to its machines from outside."""

    platform: RunningPlatform

    def speak(self, instance_id: InstanceId, machine: Machine, text: str) -> None:
        """One turn, asked of the gateway itself."""
        ...

    def remembers(self, instance_id: InstanceId, machine: Machine, text: str) -> bool:
        """Whether the instance's volume holds it."""
        ...

    def interrupt(self, machine: Machine) -> None:
        """It is said to end in two minutes."""
        ...

    def kill(self, machine: Machine) -> None:
        """It is gone at once, with all that ran on it."""
        ...

    def undisturbed(self) -> AbstractContextManager[None]:
        """While a user waits, no machine boots on the processor that theirs would have for itself."""
        ...


@dataclass
class Processes:
    """Machines are processes on this computer."""

    platform: RunningPlatform

    def speak(self, instance_id: InstanceId, machine: Machine, text: str) -> None:
        address = GatewayHome(self.platform.data_dir / "machines" / machine.id, SystemClock()).address
        token = open_vault(self.platform.data_dir)(instance_id)[Credential.GATEWAY_TOKEN]
        body = {"model": "openclaw", "messages": [{"role": "user", "content": text}]}
        headers = {"Authorization": f"Bearer {token}"}
        httpx.post(f"http://{address}/v1/chat/completions", json=body, headers=headers, timeout=120).raise_for_status()

    def remembers(self, instance_id: InstanceId, machine: Machine, text: str) -> bool:  # noqa: ARG002 - the volume is a folder here
        state = self.platform.data_dir / "volumes" / volume_of(instance_id)
        return any(text.encode() in path.read_bytes() for path in state.rglob("*") if path.is_file())

    def interrupt(self, machine: Machine) -> None:
        self.platform.cli("machines", "interrupt", machine.id)

    def kill(self, machine: Machine) -> None:
        folder = self.platform.data_dir / "machines" / machine.id
        for process in psutil.process_iter(["cmdline", "cwd"]):
            if str(folder) in " ".join(process.info["cmdline"] or ()) or str(folder) in str(process.info["cwd"]):
                for each in (process, *process.children(recursive=True)):
                    os.kill(each.pid, signal.SIGKILL)
        shutil.move(folder, self.platform.data_dir / f"gone-{folder.name}")

    def undisturbed(self) -> AbstractContextManager[None]:
        """The pool sees to that by itself."""
        return nullcontext()


@dataclass
class FullLab:
    """Machines are containers with Docker, cloud-init and the script that ships, behind a load balancer; AWS takes its time."""

    platform: RunningPlatform
    lab: NestedLab

    def speak(self, instance_id: InstanceId, machine: Machine, text: str) -> None:  # noqa: ARG002 - the machine has no other
        if self._shell(machine, ASK.format(text=shlex.quote(text))):
            raise SystemExit("The gateway did not answer a turn.")

    def remembers(self, instance_id: InstanceId, machine: Machine, text: str) -> bool:  # noqa: ARG002 - the machine has no other
        return self._shell(machine, LOOK.format(text=shlex.quote(text))) == 0

    def interrupt(self, machine: Machine) -> None:
        self.lab.cloud.interrupt(machine.ref)

    def kill(self, machine: Machine) -> None:
        self.lab.machines.cut_power(machine.ref)
        self.lab.site.client("ec2").terminate_instances(InstanceIds=[machine.ref])

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """On AWS each machine has a processor; in the lab the next spare would share that of the user's."""
        self.platform.cli("pool", "pause")
        yield
        self.platform.cli("pool", "resume")

    def _shell(self, machine: Machine, line: str) -> int:
        said = self.platform.cli("machines", "shell", machine.id, "--command", line, "--json", check=False)
        return int(json.loads(said.stdout)["exit_code"])


@contextmanager
def processes(data_dir: Path) -> Iterator[Place]:
    """A platform with one spare."""
    with running_platform(data_dir, spares=SPARES) as platform:
        yield Processes(platform)


@contextmanager
def full_lab(data_dir: Path) -> Iterator[Place]:
    """A platform with one spare in a lab of its own."""
    share_install(data_dir)
    image = asyncio.run(_image(data_dir))
    plan = Plan(platform=("127.0.0.1", free_port()), zones=("us-west-2a",))
    with nested_lab(image, plan, say, latencies=Latencies(scale=1.0), delays=Delays.real()) as lab:
        site = lab.site
        platform = LabPlatform(data_dir / "platform", site.plan.platform[1], site.environment(), address=site.addresses()[0])
        try:
            platform.start(spares=SPARES)
            yield FullLab(platform, lab)
        finally:
            platform.end_all()


async def _image(data_dir: Path) -> str:
    return await ensure_image(await ensure_openclaw(data_dir, say), say)
