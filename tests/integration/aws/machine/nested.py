"""Lab machines with engines of their own, and images for them: what runs here is what runs on EC2, but for the operating system."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.plane.base import CommandResult, MachineOrder, Metadata
from lab.plane.docker import docker
from lab.plane.nested import NestedMachines
from openclaw_hosted.adapters.aws.commands import machine_script
from openclaw_hosted.adapters.aws.gateways import Inside
from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR
from openclaw_hosted.adapters.openclaw.patches import encoded_patch
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, VolumeId
from tests.integration.aws.machine.amazon import KEYS, REGION, Amazon
from tests.support.docker import engine_answers
from tests.support.serving import serving

STAND_IN = Path(__file__).parents[3] / "support" / "stand_in" / "openclaw.mjs"
PLACES = Inside(lambda _: ("https://claw.example.com",), ("10.0.0.0/16",), "openclaw").places(InstanceId("oc-22222222"))
DOCKERFILE = """FROM scratch
COPY root /
ENV HOME=/home/node OPENCLAW_STATE_DIR=/home/node/.openclaw OPENCLAW_CONFIG_PATH=/home/node/.openclaw/openclaw.json PATH=/bin
CMD ["node", "/opt/openclaw.mjs", "gateway"]
"""
TOKEN = "token-of-the-gateway"
SLEEP = "#!/bin/bash\ntrue\n"


@dataclass
class Fleet:
    """The machines, and the AWS that they see."""

    machines: NestedMachines
    amazon: Amazon
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def launch(self, ref: str, *volumes: str, user_data: str = SLEEP) -> str:
        """Boot a machine with these disks, and wait until its user data has begun."""
        disks = {f"/dev/sd{letter}": (volume, 1) for letter, volume in zip("fg", volumes, strict=False)}
        self.machines.launch(MachineOrder(ref, f"{REGION}a", "t3.small", user_data, "machine-role", disks))
        return ref

    def do(self, ref: str, line: str, seconds: float = 120.0, *, variables: str = "") -> CommandResult:
        """Run a verb as Run Command does it."""
        return self.machines.run(ref, f"{variables}\n{machine_script()}\nopenclaw_machine {line}\n", seconds)

    def sh(self, ref: str, line: str) -> str:
        """What a line of shell prints; it has to succeed."""
        done = self.machines.run(ref, line, 60.0)
        assert done.exit_code == 0, (line, done)
        return done.stdout.strip()

    def inspect(self, ref: str) -> dict[str, str]:
        """The fields of `inspect`."""
        done = self.do(ref, "inspect")
        assert done.exit_code == 0, done
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def secret(self, instance_id: str, token: str = TOKEN) -> None:
        """Have the platform write the secret."""
        self.amazon.account.secrets[f"openclaw/{instance_id}"] = json.dumps({"gatewayToken": token, "platformRevision": 1})


def start_line(instance_id: str, volume: str, image: str, *, generation: int = 1, fresh: int = 1) -> str:
    """The verb as the platform sends it."""
    spec = GatewaySpec(InstanceId(instance_id), generation, VolumeId("v"), image)
    return (
        f"start instance={instance_id} generation={generation} volume={volume} fresh={fresh} image={image} "
        f"secret=openclaw/{instance_id} config={encoded_patch(spec, PLACES)}"
    )


@contextmanager
def fleet_of_machines() -> Iterator[Fleet]:
    """Skips where nested machines can't run."""
    if not engine_answers():
        pytest.skip("no Docker engine answers: apt-get install docker.io, and start dockerd")
    for tool in ("mmdebstrap", "docker-registry", "losetup", "iptables", "busybox"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: apt-get install mmdebstrap docker-registry util-linux iptables busybox-static")
    tags: dict[str, dict[str, str]] = {}

    def metadata(ref: str) -> Metadata:
        return Metadata(ref, f"{REGION}a", REGION, "machine-role", {**KEYS, "Expiration": "2099-01-01T00:00:00Z"}, tags.get(ref, {}))

    with serving(Amazon()) as amazon:
        machines = NestedMachines(("127.0.0.1", amazon.server_address[1]), REGION, metadata)
        try:
            amazon.account.login = login(machines)
            yield Fleet(machines, amazon, tags)
        finally:
            machines.close()


def login(machines: NestedMachines) -> dict[str, str]:
    """What GetAuthorizationToken tells of the lab's registry."""
    token = base64.b64encode(f"AWS:{machines.registry.password}".encode()).decode()
    return {"authorizationToken": token, "proxyEndpoint": f"http://{machines.registry.address}"}


@contextmanager
def stand_in_image(folder: Path) -> Iterator[str]:
    """An image with busybox, Node.js, the platform's configure.mjs, and the stand-in for OpenClaw; its tag in the host's engine."""
    root = folder / "root"
    for name in ("bin", "opt/oc-hosted", "home/node/.openclaw", "home/node/.cache", "run/openclaw", "tmp", "lib64"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy(shutil.which("busybox") or "", root / "bin/busybox")
    for applet in ("sh", "sleep", "cp", "mv", "cat", "rm", "mkfifo"):
        (root / "bin" / applet).symlink_to("busybox")
    node = NODE_DIR / "bin" / "node"
    shutil.copy(node, root / "bin/node")
    for library in re.findall(r"(/\S+\.so\S*) \(", subprocess.run(["ldd", node], capture_output=True, text=True, check=True).stdout):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    shutil.copy(PLUGIN_DIR / "configure.mjs", root / "opt/oc-hosted")
    shutil.copy(STAND_IN, root / "opt/openclaw.mjs")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    tag = f"openclaw-hosted/stand-in:{folder.parent.name}"
    docker("build", "--quiet", "--tag", tag, str(folder))
    try:
        yield tag
    finally:
        docker("rmi", tag)
