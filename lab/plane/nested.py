"""The full variant of the lab's machines: each is a container with a Docker engine of its own, which runs real user data and commands.

What a machine finds on Amazon Linux with Docker it finds here: its disks as block devices, the metadata address, systemd, a registry.
In /etc/openclaw-hosted/machine.env stand `AWS_ENDPOINT_URL` and the region, as a machine image would carry them. Needs root and a Docker
engine on the host.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.plane import image
from lab.plane.base import CommandResult, MachineOrder, MetadataSource, Power, Rebooted
from lab.plane.bridge import Bridge
from lab.plane.docker import ToolFailed, docker
from lab.plane.ebs import LOOP_MAJOR, Disk, Disks, minor
from lab.plane.home import LabHome, sweep
from lab.plane.loop import LoopThread
from lab.plane.metadata import Asking, MetadataService, redirection
from lab.plane.registry import Registry
from lab.plane.relay import Address, Relay

CAPABILITIES: Final = (
    "SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_CHROOT", "MKNOD", "NET_RAW", "SYS_NICE", "IPC_LOCK",
    "LINUX_IMMUTABLE", "SYS_MODULE", "SYSLOG",
)  # fmt: skip
"""Enough for an engine in a container; `--privileged` fails where the host itself lacks a capability."""
RESULT: Final = "/run/cloud-init/result.json"
USER_DATA_LOG: Final = "/var/log/cloud-init-output.log"
GOING_UP: Final = f"touch {image.FURNISHED}; until systemctl -q is-active basic.target; do sleep 0.05; done"
"""From here on it boots as on hardware: cloud-init asks for its metadata before anything else starts."""
BOOT_SECONDS: Final = 600.0
USER_DATA_SECONDS: Final = 3600.0
UNIFIED: Final = Path("/sys/fs/cgroup/unified")
SHUTDOWN_SECONDS: Final = "60"
KILLED: Final = 137
GRACE_SECONDS: Final = 30.0
"""For the engine to start a command, on top of the command's own time."""


@dataclass(slots=True)
class _Machine:
    order: MachineOrder
    address: str
    container: str
    alone: threading.RLock = field(default_factory=threading.RLock)
    """Held while it goes on or off, or its disks change."""
    booted: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    user_data: threading.Event = field(default_factory=threading.Event)
    """Set once the user data has ended."""
    on: bool = True
    boots: int = 0
    """How often it has booted again."""
    problem: str | None = None


class NestedMachines:
    """`Machines` as containers with engines of their own. What labs left behind that were killed is removed first."""

    def __init__(self, endpoint: Address, region: str, source: MetadataSource) -> None:
        sweep()
        self._image = image.ensure()
        self._region = region
        self._lock = threading.Lock()
        self._machines: dict[str, _Machine] = {}
        self._home = LabHome.make()
        self._loop = LoopThread("lab-machines")
        try:
            self._disks = Disks(self._home)
            self._bridge = Bridge(self._home)
            self._api = Relay(self._loop, self._bridge.gateway, endpoint)
            self._metadata = MetadataService(self._loop, self._bridge.gateway, self._asking, source)
            self.registry = Registry(self._home, self._loop, self._bridge.gateway)
            for port in (self._api.address[1], self._metadata.port, int(self.registry.address.rpartition(":")[2])):
                self._bridge.allow(port)
        except BaseException:
            self._loop.close()
            self._home.close()
            raise

    @property
    def network(self) -> str:
        """Where its machines have their addresses, such as `10.210.3.0/24`."""
        return self._bridge.cidr

    @property
    def endpoint_url(self) -> str:
        """Where machines reach the API."""
        host, port = self._api.address
        return f"http://{host}:{port}"

    def launch(self, order: MachineOrder) -> str:
        """See `Machines`. Disks of the order that are not there yet are made."""
        with self._lock:
            if order.instance_id in self._machines:
                return self._machines[order.instance_id].address
            address = self._bridge.free_address(machine.address for machine in self._machines.values())
            machine = _Machine(order, address, f"oclab-{self._home.id}-{order.instance_id}")
            self._machines[order.instance_id] = machine
        for device, (volume_id, size_gib) in order.volumes.items():
            self._disks.create(volume_id, size_gib)
            self._disks.attach(volume_id, order.instance_id, device)
        threading.Thread(target=self._boot, args=(machine, True), name=f"boot-{order.instance_id}", daemon=True).start()
        return address

    def power(self, instance_id: str) -> Power:
        """See `Machines`. A machine that could not be made counts as stopped; `problem` says why."""
        machine = self._machines.get(instance_id)
        if machine is None:
            return Power.GONE
        if not machine.on:
            return Power.STOPPED
        return Power.RUNNING if machine.booted.is_set() else Power.BOOTING

    def problem(self, instance_id: str) -> str | None:
        """Why it did not boot, if it did not."""
        return self._machine(instance_id).problem

    def stop(self, instance_id: str) -> None:
        """See `Machines`. Its systemd shuts it down in good order."""
        self._power_off(self._machine(instance_id), ("stop", "--time", SHUTDOWN_SECONDS))

    def cut_power(self, instance_id: str) -> None:
        """Have it die without a word: it is `stopped`, its disks as they were, until it is started or terminated."""
        self._power_off(self._machine(instance_id), ("kill",))

    def start(self, instance_id: str) -> None:
        """See `Machines`."""
        machine = self._machine(instance_id)
        with machine.alone:
            if machine.on:
                return
            machine.on, machine.problem, machine.boots = True, None, machine.boots + 1
        threading.Thread(target=self._boot, args=(machine, False), name=f"boot-{instance_id}", daemon=True).start()

    def reboot(self, instance_id: str) -> None:
        """See `Machines`. Its systemd shuts it down in good order."""
        self._start_anew(self._machine(instance_id), ("stop", "--time", SHUTDOWN_SECONDS))

    def crash(self, instance_id: str) -> None:
        """Have it reboot without a word: its kernel panicked, say."""
        self._start_anew(self._machine(instance_id), ("kill",))

    def terminate(self, instance_id: str) -> None:
        """See `Machines`."""
        machine = self._machines.get(instance_id)
        if machine is None:
            return
        machine.gone.set()
        with machine.alone:
            if self._machines.get(instance_id) is not machine:
                return
            machine.on = False
            docker("rm", "--force", "--volumes", machine.container)
            docker("volume", "rm", "--force", machine.container)
            for disk in self._disks.attached_to(instance_id):
                self._release(disk)
            del self._machines[instance_id]

    def run(self, instance_id: str, script: str, timeout_seconds: float) -> CommandResult:
        """See `Machines`: `docker exec` of a file with the script, as the agent does it."""
        machine = self._machine(instance_id)
        boots = machine.boots
        if self.power(instance_id) is not Power.RUNNING:
            raise LookupError(f"{instance_id} takes no commands.")
        program = f'f=$(mktemp) && cat >"$f" && timeout --signal=KILL {timeout_seconds} bash "$f" </dev/null; e=$?; rm -f "$f"; exit $e'
        began = time.monotonic()
        words = ["docker", "exec", "--interactive", "--workdir", "/root", machine.container, "bash", "-c", program]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
            try:
                stdout, stderr = done.communicate(script.encode(), timeout=timeout_seconds + GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                done.kill()
                stdout, stderr = done.communicate()
        if self._machines.get(instance_id) is not machine or not machine.on:
            raise LookupError(f"{instance_id} went away.")
        if machine.boots != boots:
            raise Rebooted(instance_id)
        timed_out = done.returncode in (KILLED, -signal.SIGKILL) and time.monotonic() - began >= timeout_seconds
        return CommandResult(done.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"), timed_out)

    def attach(self, instance_id: str, device: str, volume_id: str) -> None:
        """See `Machines`. Raises `ValueError` while another machine has it."""
        machine = self._machine(instance_id)
        with machine.alone:
            disk = self._disks.attach(volume_id, instance_id, device)
            if machine.booted.is_set():
                self._show(machine, disk)

    def detach(self, volume_id: str, *, force: bool = False) -> bool:
        """See `Machines`. By force, what uses it in the machine is killed; the disk itself gets no chance to be damaged."""
        disk = self._disks.get(volume_id)
        machine = self._machines.get(disk.attached_to or "")
        if machine is None or disk.loop is None:
            return True
        with machine.alone:
            device = disk.device
            if force:
                if machine.booted.is_set():
                    docker("exec", machine.container, "bash", "-c", _eviction(minor(disk.loop)))
                self._release(disk)
            elif not self._released(volume_id):
                return False
            if machine.booted.is_set():
                docker("exec", machine.container, "rm", "-f", str(device), disk.link)
        return True

    def create_volume(self, volume_id: str, size_gib: int) -> None:
        """See `Machines`."""
        self._disks.create(volume_id, size_gib)

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """See `lab.cloud.snapshots.Copying`."""
        self._disks.snapshot(volume_id, snapshot_id)

    def restore(self, snapshot_id: str, volume_id: str, size_gib: int) -> None:
        """See `lab.cloud.snapshots.Copying`."""
        self._disks.restore(snapshot_id, volume_id, size_gib)

    def delete_volume(self, volume_id: str) -> None:
        """See `Machines`. Raises `ValueError` while it is attached."""
        self._disks.delete(volume_id)

    def close(self) -> None:
        """See `Machines`."""
        for instance_id in list(self._machines):
            self.terminate(instance_id)
        self.registry.close()
        self._metadata.close()
        self._api.close()
        self._loop.close()
        self._home.close()

    def wait_for_user_data(self, instance_id: str, seconds: float) -> str:
        """What it printed. Raises `TimeoutError`."""
        if not self._machine(instance_id).user_data.wait(seconds):
            raise TimeoutError(f"The user data of {instance_id} still runs: {self.problem(instance_id)}")
        return docker("exec", self._machine(instance_id).container, "cat", USER_DATA_LOG)

    def _boot(self, machine: _Machine, first: bool) -> None:  # noqa: FBT001 - the thread's only argument
        due = time.monotonic() + machine.order.boot_seconds
        try:
            with machine.alone:
                if machine.gone.is_set():
                    return
                self._create(machine) if first else docker("start", machine.container)
                self._furnish(machine)
            if machine.gone.wait(max(0.0, due - time.monotonic())):
                return
            docker("exec", machine.container, "bash", "-c", GOING_UP, seconds=BOOT_SECONDS)
            machine.booted.set()
            if first:
                self._watch_user_data(machine)
        except (ToolFailed, OSError) as problem:
            if not machine.gone.is_set() and machine.on:
                machine.problem, machine.on = str(problem), False

    def _create(self, machine: _Machine) -> None:
        docker("volume", "create", "--label", self._home.label, machine.container)
        docker(
            "run", "--detach", "--env", "container=docker", "--stop-signal", "SIGRTMIN+3", "--name", machine.container,
            "--label", self._home.label, "--hostname", machine.order.instance_id,
            "--network", self._bridge.name, "--ip", machine.address, *(f"--cap-add={name}" for name in CAPABILITIES),
            "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--device-cgroup-rule", "a *:* rwm",
            "--tmpfs", "/run:exec,mode=755", "--tmpfs", "/run/lock", "--cgroupns", "host",
            "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", *_hidden(), "--volume", f"{machine.container}:/var/lib/docker", self._image,
        )  # fmt: skip

    def _furnish(self, machine: _Machine) -> None:
        """Whatever a container loses when it stops, and what the machine image would carry."""
        engine = {"insecure-registries": [self.registry.address], "cgroup-parent": self._home.cgroup(machine.order.instance_id)}
        facts = {"AWS_ENDPOINT_URL": self.endpoint_url, "AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region}
        lines = "".join(f"{name}={value}\n" for name, value in facts.items())
        script = f"""set -e
            mkdir -p /dev/disk/by-id /etc/openclaw-hosted /etc/docker
            test -e /etc/docker/daemon.json || printf %s {shlex.quote(json.dumps(engine))} >/etc/docker/daemon.json
            printf %s {shlex.quote(lines)} >/etc/openclaw-hosted/machine.env
            until test -S /run/systemd/private; do sleep 0.05; done
            {redirection(self._bridge.gateway, self._metadata.port, machine.order.hop_limit)}"""
        docker("exec", "--interactive", machine.container, "bash", fed=script.encode())
        for disk in self._disks.attached_to(machine.order.instance_id):
            self._show(machine, disk)

    def _show(self, machine: _Machine, disk: Disk) -> None:
        assert disk.loop is not None
        assert disk.device is not None
        device, link = shlex.quote(disk.device), shlex.quote(disk.link)
        script = f"rm -f {device} && mknod -m 660 {device} b {LOOP_MAJOR} {minor(disk.loop)} && ln -sfn {device} {link}"
        docker("exec", machine.container, "bash", "-c", script)

    def _watch_user_data(self, machine: _Machine) -> None:
        """Wait until cloud-init has run it."""
        script = f"until test -e {RESULT}; do sleep 0.1; done; cat {RESULT}"
        errors = json.loads(docker("exec", machine.container, "bash", "-c", script, seconds=USER_DATA_SECONDS))["v1"]["errors"]
        if errors:
            machine.problem = f"cloud-init ended with {'; '.join(errors)}"
        machine.user_data.set()

    def _power_off(self, machine: _Machine, command: tuple[str, ...]) -> None:
        with machine.alone:
            if machine.on:
                machine.on = False
                self._end(machine, command)

    def _start_anew(self, machine: _Machine, command: tuple[str, ...]) -> None:
        with machine.alone:
            if not machine.on:
                return
            machine.boots += 1
            self._end(machine, command)
        threading.Thread(target=self._boot, args=(machine, False), name=f"boot-{machine.order.instance_id}", daemon=True).start()

    def _end(self, machine: _Machine, command: tuple[str, ...]) -> None:
        machine.booted.clear()
        docker(*command, machine.container)
        docker("wait", machine.container)

    def _release(self, disk: Disk) -> None:
        """Of a machine that is gone, or whose use of it was ended: the kernel takes a moment to unmount what was mounted."""
        until = time.monotonic() + GRACE_SECONDS
        while not self._released(disk.volume_id):
            if time.monotonic() > until:
                raise BlockingIOError(f"{disk.volume_id} stays in use.")
            time.sleep(0.05)

    def _released(self, volume_id: str) -> bool:
        try:
            self._disks.release(volume_id)
        except BlockingIOError:
            return False
        return True

    def _asking(self, address: str) -> Asking | None:
        for machine in list(self._machines.values()):
            if machine.address == address:
                return Asking(machine.order.instance_id, machine.order.tags_in_metadata, machine.order.user_data)
        return None

    def _machine(self, instance_id: str) -> _Machine:
        machine = self._machines.get(instance_id)
        if machine is None:
            raise LookupError(f"There is no machine {instance_id}.")
        return machine


def _hidden() -> Sequence[str]:
    """Where the host has a hierarchy of cgroups of its own for systemd beside those of the first version, machines must not share it."""
    return ("--tmpfs", str(UNIFIED)) if UNIFIED.exists() else ()


def _eviction(number: int) -> str:
    """A script that kills what holds a loop device mounted, and unmounts it."""
    holds = f" {LOOP_MAJOR}:{number} "
    return f"""self=$(readlink /proc/self/ns/mnt)
        for each in /proc/[0-9]*; do
            if [ "$(readlink $each/ns/mnt)" != "$self" ] && grep -q "{holds}" $each/mountinfo; then kill -KILL ${{each#/proc/}}; fi
        done 2>/dev/null
        grep "{holds}" /proc/self/mountinfo | cut -d' ' -f5 | tac | while read -r where; do umount -l "$where"; done
        exit 0"""
