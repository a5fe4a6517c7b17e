"""The fast variant of the lab's machines: each is an object with a loopback address of its own, all on one thread.

No shell runs: a command is the platform's machine script, interpreted by `plain_script`, user data is the platform's, interpreted by
`plain_boot`, and what they start is the stand-in gateway of `plain_gateway`, over real HTTP on port 8080.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from lab.plane.base import CommandResult, MachineOrder, MetadataSource, Power, Rebooted
from lab.plane.loop import LoopThread
from lab.plane.plain_boot import FINAL, RESERVED_TAG, UserData
from lab.plane.plain_gateway import PORT, Berth, Fault, PlainGateway, bound
from lab.plane.plain_script import COMMAND, interpret
from lab.plane.plain_volumes import PlainVolume, PlainVolumes

TRIES: Final = 100
BOOT_LOOK_SECONDS: Final = 0.02
ROOT_DEVICES: Final = frozenset({"/dev/xvda", "/dev/sda1"})

SecretReader = Callable[[str, str], str]
"""From instance id and name to the secret's text, as that machine's role may read it. Raises `PermissionError`, `LookupError`."""


@dataclass(slots=True)
class Timing:
    """How long things take, in seconds; may be changed at any time."""

    agent: float = 0.0
    """From the end of the boot until commands run."""
    pull: float = 0.0
    """For an image that a machine has not pulled before."""
    gateway_start: float = 0.0
    """From the start of a gateway until it answers."""
    user_data_pause: float = 0.2
    """Between two attempts of the user data to start a gateway."""


@dataclass(slots=True)
class _Machine:
    """One machine, and the host of its scripts."""

    order: MachineOrder
    address: str
    plane: PlainMachines
    faults: set[Fault]
    boots_at: float
    on: bool = True
    boots: int = 0
    """How often it has booted again."""
    at_work: int = 0
    """In which of its boots the command runs that runs here."""
    unit: bool = False
    metadata_closed: bool = False
    generation: int = 0
    gateway: PlainGateway | None = None
    secrets_file: Mapping[str, str] = field(default_factory=dict, repr=False)
    images: set[str] = field(default_factory=set)
    alone: threading.RLock = field(default_factory=threading.RLock)
    """Held while a command runs, as the script's own lock does."""
    gone: threading.Event = field(default_factory=threading.Event)
    switching: threading.Lock = field(default_factory=threading.Lock)
    """Held while a gateway or the machine itself goes on or off."""

    @property
    def instance_id(self) -> str:
        return self.order.instance_id

    @property
    def power(self) -> Power:
        if not self.on:
            return Power.STOPPED
        return Power.BOOTING if Fault.NEVER_BOOTS in self.faults or time.monotonic() < self.boots_at else Power.RUNNING

    def disk(self, volume_id: str) -> PlainVolume | None:
        self._check_alive()
        return next((volume for volume in self.plane.volumes.attached_to(self.instance_id) if volume.volume_id == volume_id), None)

    def mounted(self) -> PlainVolume | None:
        return next((volume for volume in self.plane.volumes.attached_to(self.instance_id) if volume.mounted), None)

    def fetch_secret(self, name: str) -> str:
        return self.plane.secret(self.instance_id, name)

    def pull(self, image: str) -> bool:
        if image in self.plane.missing_images:
            return False
        if image not in self.images:
            time.sleep(self.plane.timing.pull)
            self.images.add(image)
        return True

    def run_gateway(self, berth: Berth) -> None:
        with self.switching:
            self._check_alive()
            self.gateway = PlainGateway(
                berth, self.address, lambda: self.secrets_file, self.faults, lambda: self.plane.timing.gateway_start
            )
            self.plane.loop.call(self.gateway.start())

    def remove_gateway(self) -> None:
        self._check_alive()
        self.evict()

    def evict(self) -> None:
        with self.switching:
            gateway, self.gateway, self.secrets_file = self.gateway, None, {}
            if gateway is not None:
                self.plane.loop.call(gateway.stop())
            self.unmount()

    def restart_gateway(self) -> None:
        with self.switching:
            if self.gateway is not None and self.on and self.gateway.volume.mounted:
                self.plane.loop.call(self.gateway.restart())

    def cut_power(self) -> None:
        with self.switching:
            self.on = False
            self._lose_what_runs()

    def reboot(self) -> None:
        with self.switching:
            self._lose_what_runs()
            self.on, self.boots, self.boots_at = True, self.boots + 1, time.monotonic() + self.order.boot_seconds
        threading.Thread(target=self._come_up, args=(self.boots,), name=f"boot-{self.instance_id}", daemon=True).start()

    def _lose_what_runs(self) -> None:
        if self.gateway is not None:
            self.plane.loop.call(self.gateway.stop())
        self.unmount()
        self.metadata_closed = False

    def _come_up(self, boot: int) -> None:
        """Once it has booted again: the unit, if one was installed, and then Docker, whose container starts where its volume is mounted."""
        while self.power is Power.BOOTING and self.boots == boot:
            if self.gone.wait(BOOT_LOOK_SECONDS):
                return
        with self.alone, suppress(LookupError):
            if self.boots == boot:
                self.at_work = boot
                self.unmount()
                if self.unit:
                    interpret(self, f"{COMMAND} boot")
                self.restart_gateway()

    def _check_alive(self) -> None:
        """Raises `LookupError` for a command of an earlier boot, which has ended with it."""
        if not self.on:
            raise LookupError(f"{self.instance_id} went away.")
        if self.boots != self.at_work:
            raise Rebooted(self.instance_id)

    def unmount(self) -> None:
        for volume in self.plane.volumes.attached_to(self.instance_id):
            volume.mounted = False


class PlainMachines:
    """`Machines` without machines."""

    def __init__(self, secret: SecretReader, metadata: MetadataSource | None = None, timing: Timing | None = None) -> None:
        """Without `metadata`, user data does not run: it has to know the machine's tags."""
        self.secret = secret
        self.metadata = metadata
        self.timing = timing or Timing()
        self.volumes = PlainVolumes()
        self.missing_images: set[str] = set()
        self.loop = LoopThread("lab-machines")
        self._lock = threading.Lock()
        self._machines: dict[str, _Machine] = {}
        self._next_faults: list[Fault] = []

    def launch(self, order: MachineOrder) -> str:
        """See `Machines`. Disks of the order that are not there yet are made."""
        with self._lock:
            if order.instance_id in self._machines:
                return self._machines[order.instance_id].address
            faults = {self._next_faults.pop(0)} if self._next_faults else set()
            machine = _Machine(order, self._address(), self, faults, time.monotonic() + order.boot_seconds)
            self._machines[order.instance_id] = machine
        for device, (volume_id, size_gib) in order.volumes.items():
            self.volumes.create(volume_id, size_gib)
            self.volumes.attach(volume_id, order.instance_id, device)
        data = UserData.parse(order.user_data)
        if data is not None and self.metadata is not None:
            name = f"user-data-{order.instance_id}"
            threading.Thread(target=self._run_user_data, args=(machine, data, self.metadata), name=name, daemon=True).start()
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
            machine.gateway = None
            for volume in self.volumes.attached_to(instance_id):
                self.volumes.detach(volume.volume_id)

    def run(self, instance_id: str, script: str, timeout_seconds: float) -> CommandResult:
        """See `Machines`: interprets the script's calls. Commands on one machine wait for each other."""
        machine = self._machine(instance_id)
        if machine.power is not Power.RUNNING or time.monotonic() < machine.boots_at + self.timing.agent:
            raise LookupError(f"{instance_id} takes no commands.")
        boot = machine.boots
        if not machine.alone.acquire(timeout=timeout_seconds):
            return CommandResult(-1, "", "", timed_out=True)
        try:
            machine.at_work = boot
            done = interpret(machine, script)
        finally:
            machine.alone.release()
        if not machine.on:
            raise LookupError(f"{instance_id} went away.")
        if machine.boots != boot:
            raise Rebooted(instance_id)
        return done

    def attach(self, instance_id: str, device: str, volume_id: str) -> None:
        """See `Machines`. Raises `ValueError` while another machine has it."""
        self._machine(instance_id)
        self.volumes.attach(volume_id, instance_id, device)

    def detach(self, volume_id: str, *, force: bool = False) -> bool:
        """See `Machines`. Taken by force from a gateway, the disk stays as it is and the gateway ends."""
        volume = self.volumes.get(volume_id)
        if volume.mounted and not force:
            return False
        machine = self._machines.get(volume.attached_to or "")
        if volume.mounted and machine is not None:
            machine.evict()
        self.volumes.detach(volume_id)
        return True

    def create_volume(self, volume_id: str, size_gib: int) -> None:
        """See `Machines`."""
        self.volumes.create(volume_id, size_gib)

    def delete_volume(self, volume_id: str) -> None:
        """See `Machines`. Raises `ValueError` while it is attached."""
        self.volumes.delete(volume_id)

    def close(self) -> None:
        """See `Machines`."""
        for instance_id in list(self._machines):
            self.terminate(instance_id)
        self.loop.close()

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
        gateway = self._machine(instance_id).gateway
        if gateway is None:
            raise LookupError(f"{instance_id} has no gateway.")
        self.loop.call(gateway.crash(exit_code, oom=oom))

    def credentials(self, instance_id: str) -> frozenset[str]:
        """The names of those that its gateway knows, none where none runs."""
        gateway = self._machine(instance_id).gateway
        return frozenset() if gateway is None else frozenset(gateway.secrets)

    def address(self, instance_id: str) -> str:
        """Where its gateway answers: IPv4 address and port."""
        return f"{self._machine(instance_id).address}:{PORT}"

    def _run_user_data(self, machine: _Machine, data: UserData, metadata: MetadataSource) -> None:
        """Try again and again to start the gateway that the machine is reserved for, until that is done, hopeless, or ended by a reboot."""
        while machine.on and not machine.boots and not machine.gone.wait(self.timing.user_data_pause):
            if machine.power is not Power.RUNNING:
                continue
            with suppress(LookupError):
                reserved = metadata(machine.instance_id).tags.get(RESERVED_TAG, "")
                disks = sorted(self.volumes.attached_to(machine.instance_id), key=lambda disk: disk.device or "")
                data_disks = [disk for disk in disks if disk.device not in ROOT_DEVICES]
                if reserved and data_disks:
                    with machine.alone:
                        machine.at_work = 0
                        done = interpret(machine, data.start(reserved, data_disks[0].volume_id))
                    if done.exit_code in FINAL:
                        return

    def _machine(self, instance_id: str) -> _Machine:
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
