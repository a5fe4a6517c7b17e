"""The Docker engine is killed under running machines, and started again. The engine is the test's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.containers import prepare_network
from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.domain.errors import ProviderAway
from openclaw_hosted.ports.machines import MachineHealth
from tests.integration.docker.inside import chat, run, started
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.waiting import until

pytestmark = [pytest.mark.openclaw, pytest.mark.docker]


BRIDGE = "oc-engine-test"
"""Made by the computer's engine. Left to itself, the second one takes over `docker0`; told to have none, it removes that."""


class Engine:
    """A Docker engine of its own, beside the computer's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self.start()

    def start(self) -> None:
        command = [
            "dockerd", "--host", self.address, "--data-root", f"{self._folder}/data", "--exec-root", f"{self._folder}/exec",
            "--pidfile", f"{self._folder}/pid", "--bridge", BRIDGE, "--iptables=false", "--ip6tables=false", "--ip-masq=false",
        ]  # fmt: skip
        for stale in ("pid", "exec/containerd/containerd.pid"):
            (self._folder / stale).unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "--host", self.address, "version"], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL to the engine and what manages its containers, as the kernel does to a service that is out of memory."""
        containerd = int((self._folder / "exec" / "containerd" / "containerd.pid").read_text())
        for pid in (self._process.pid, containerd):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


@pytest.fixture
def engine(any_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Has the image of machines."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a Docker engine")
    folder = Path("/var/tmp") / f"och-engine-{os.getpid()}"
    folder.mkdir(mode=0o700)
    subprocess.run(["docker", "network", "create", "--opt", f"com.docker.network.bridge.name={BRIDGE}", BRIDGE], check=True)
    made = Engine(folder)
    try:
        saved = subprocess.Popen(["docker", "save", any_image], stdout=subprocess.PIPE)
        subprocess.run(["docker", "--host", made.address, "load"], stdin=saved.stdout, check=True, capture_output=True)
        assert saved.stdout
        saved.stdout.close()
        assert saved.wait() == 0
        monkeypatch.setenv("DOCKER_HOST", made.address)
        yield made
    finally:
        made.stop()
        unmount_all(folder)
        shutil.rmtree(folder)
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        subprocess.run(["docker", "network", "rm", BRIDGE], check=True)


def unmount_all(folder: Path) -> None:
    """What an engine mounted before it was killed, nobody else unmounts."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in reversed([path for path in mounted if path.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", path], check=True)


async def test_machines_come_back_after_the_engine_was_killed(
    engine: Engine, tmp_path: Path, release: OpenClawRelease, any_image: str
) -> None:
    computer = Computer(tmp_path, release, await prepare_network(tmp_path, any_image))
    try:
        ref, spec = await started(computer)
        assert "okapi" in await chat(computer, ref, "okapi")
        await run(ref, "sh", "-c", "echo kept > .openclaw/note.txt")
        engine.kill()
        with pytest.raises(ProviderAway):
            await docker("ps")
        await until(lambda: computer.process(ref).status().restarts >= 1)
        assert await computer.health(ref) is MachineHealth.UP
        status = await computer.gateways.status(seat(ref, spec))
        assert not status.ready

        engine.start()
        await until(lambda: computer.is_ready(ref))
        assert await run(ref, "cat", ".openclaw/note.txt") == "kept"
        assert "zebra" in await chat(computer, ref, "zebra")
        assert (await computer.gateways.status(seat(ref, spec))).instance_id == spec.instance_id
        assert len((await docker("ps", "--quiet")).split()) == 1
    finally:
        await computer.clear()
        if computer.docker:
            await docker("network", "rm", computer.docker.network.name)
