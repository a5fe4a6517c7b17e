"""The fast variant of the lab's machines: each is an object with a loopback address of its own, all on one thread.

Scripts are real: what is sent by Run Command and what is in the user data runs with this computer's bash, in a folder that stands for the
machine's root. What would change this computer, Docker, mounts and the network among it, is a stub (plain_stubs.sh), which asks
`plain_host` and `plain_engine`. What runs in the container is the stand-in gateway of `plain_gateway`, over real HTTP on port 8080.
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.plane.base import CommandResult, MachineOrder, MetadataSource, Power
from lab.plane.loop import LoopThread
from lab.plane.plain_gateway import PORT, Fault, bound
from lab.plane.plain_host import SecretReader
from lab.plane.plain_machine import PlainMachine
from lab.plane.plain_stubs import Stubs
from lab.plane.plain_volumes import PlainVolumes

TRIES: Final = 100
DEFINITION: Final = "\nopenclaw_machine() {\n"
CALL: Final = re.compile(r"\nopenclaw_(machine|states) [a-z][^\n]*\s*$")
USER_DATA: Final = "\nwithin started\n"
"""The last line of the platform's own."""
NOT_OURS: Final = CommandResult(127, "", "this machine runs nothing but the platform's script\n")
"""What anything else would do, it would do to this computer."""


@dataclass(slots=True)
class Timing:
    """How long things take, in seconds; may be changed at any time."""

    agent: float = 0.0
    """From the end of the boot until commands run."""
    pull: float = 0.0
    """For an image that a machine has not pulled before."""
    gateway_start: float = 0.0
    """From the start of a gateway until it answers."""
    pause: float = 0.2
    """Each `sleep` of a script, whatever it asks for."""


class PlainMachines:
    """`Machines` without machines."""

    def __init__(self, secret: SecretReader, metadata: MetadataSource, timing: Timing | None = None) -> None:
        self.secret = secret
        self.metadata = metadata
        self.timing = timing or Timing()
        self.folder = Path(tempfile.mkdtemp(prefix="openclaw-lab-"))
        self.volumes = PlainVolumes(self.folder / "volumes")
        self.missing_images: set[str] = set()
        self.loop = LoopThread("lab-machines")
        self.stubs = Stubs(self.loop, self.folder, lambda: self.timing.pause)
        self._lock = threading.Lock()
        self._machines: dict[str, PlainMachine] = {}
        self._next_faults: list[Fault] = []

    def launch(self, order: MachineOrder) -> str:
        """See `Machines`. Disks of the order that are not there yet are made."""
        with self._lock:
            if order.instance_id in self._machines:
                return self._machines[order.instance_id].address
            faults = {self._next_faults.pop(0)} if self._next_faults else set()
            machine = PlainMachine(self, order, self._address(), faults)
            self._machines[order.instance_id] = machine
        for device, (volume_id, size_gib) in order.volumes.items():
            self.volumes.create(volume_id, size_gib)
            machine.host.plug(self.volumes.attach(volume_id, order.instance_id, device))
        if USER_DATA in f"{order.user_data}\n":
            threading.Thread(target=machine.run_user_data, name=f"user-data-{order.instance_id}", daemon=True).start()
        return machine.address

    def power(self, instance_id: str) -> Power:
        """See `Machines`."""
        machine = self._machines.get(instance_id)
        return machine.power if machine else Power.GONE

    def stop(self, instance_id: str) -> None:
        """See `Machines`; nothing is shut down in good order."""
        self._machine(instance_id).cut_power()

    def start(self, instance_id: str) -> None:
        """See `Machines`."""
        machine = self._machine(instance_id)
        if not machine.on:
            machine.reboot()

    def reboot(self, instance_id: str) -> None:
        """See `Machines`."""
        machine = self._machine(instance_id)
        if machine.on:
            machine.reboot()

    def terminate(self, instance_id: str) -> None:
        """See `Machines`."""
        with self._lock:
            machine = self._machines.pop(instance_id, None)
        if machine is not None:
            machine.gone.set()
            machine.cut_power()
            for volume in self.volumes.attached_to(instance_id):
                self.volumes.detach(volume.volume_id)
            shutil.rmtree(machine.host.folder, ignore_errors=True)

    def run(self, instance_id: str, script: str, timeout_seconds: float) -> CommandResult:
        """See `Machines`; runs the platform's script only."""
        machine = self._machine(instance_id)
        if machine.power is not Power.RUNNING or time.monotonic() < machine.boots_at + self.timing.agent:
            raise LookupError(f"{instance_id} takes no commands.")
        if DEFINITION not in script or not CALL.search(script):
            return NOT_OURS
        return machine.run(script, timeout_seconds)

    def attach(self, instance_id: str, device: str, volume_id: str) -> None:
        """See `Machines`. Raises `ValueError` while another machine has it."""
        self._machine(instance_id).host.plug(self.volumes.attach(volume_id, instance_id, device))

    def detach(self, volume_id: str, *, force: bool = False) -> bool:
        """See `Machines`. Taken by force from a gateway, the disk stays as it is and the gateway ends."""
        volume = self.volumes.get(volume_id)
        if volume.mounted and not force:
            return False
        machine = self._machines.get(volume.attached_to or "")
        if machine is not None:
            machine.lose(volume)
        self.volumes.detach(volume_id)
        return True

    def create_volume(self, volume_id: str, size_gib: int) -> None:
        """See `Machines`."""
        self.volumes.create(volume_id, size_gib)

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """See `lab.cloud.snapshots.Copying`."""
        self.volumes.snapshot(volume_id, snapshot_id)

    def restore(self, snapshot_id: str, volume_id: str, size_gib: int) -> None:
        """See `lab.cloud.snapshots.Copying`."""
        self.volumes.restore(snapshot_id, volume_id, size_gib)

    def delete_volume(self, volume_id: str) -> None:
        """See `Machines`. Raises `ValueError` while it is attached."""
        self.volumes.delete(volume_id)

    def close(self) -> None:
        """See `Machines`."""
        for instance_id in list(self._machines):
            self.terminate(instance_id)
        self.stubs.close()
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fail_next(self, fault: Fault) -> None:
        """Have the next machine that is launched come with this fault; may be said several times."""
        with self._lock:
            self._next_faults.append(fault)

    def break_machine(self, instance_id: str, fault: Fault) -> None:
        """Give a machine this fault, until `mend_machine`. A gateway that runs already hangs at once, and crashes when it starts next."""
        self._machine(instance_id).faults.add(fault)

    def mend_machine(self, instance_id: str) -> None:
        """Take all its faults away."""
        self._machine(instance_id).faults.clear()

    def cut_power(self, instance_id: str) -> None:
        """Have it die without a word: it is `stopped`, its disks as they were, until it is started or terminated."""
        self._machine(instance_id).cut_power()

    def crash_gateway(self, instance_id: str, exit_code: int = 1, *, oom: bool = False) -> None:
        """End the gateway's process once; its container starts another one."""
        gateway = self._machine(instance_id).engine.gateway
        if gateway is None:
            raise LookupError(f"{instance_id} has no gateway.")
        self.loop.call(gateway.crash(exit_code, oom=oom))

    def credentials(self, instance_id: str) -> frozenset[str]:
        """The names of those that its gateway knows, none where none runs."""
        gateway = self._machine(instance_id).engine.gateway
        return frozenset() if gateway is None else frozenset(gateway.secrets)

    def address(self, instance_id: str) -> str:
        """Where its gateway answers: IPv4 address and port."""
        return f"{self._machine(instance_id).address}:{PORT}"

    def _machine(self, instance_id: str) -> PlainMachine:
        machine = self._machines.get(instance_id)
        if machine is None:
            raise LookupError(f"There is no machine {instance_id}.")
        return machine

    def _address(self) -> str:
        """A loopback address that no machine of this or another lab has."""
        taken = {machine.address for machine in self._machines.values()}
        for _ in range(TRIES):
            address = f"127.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
            with suppress(OSError):
                bound(address).close()
                if address not in taken:
                    return address
        raise OSError("no loopback address is free")
