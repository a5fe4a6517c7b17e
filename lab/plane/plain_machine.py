"""One plain machine: its power, the scripts that run on it, and what they find there."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from lab.plane.base import CommandResult, MachineOrder, Power, Rebooted
from lab.plane.plain_engine import Engine, Setting
from lab.plane.plain_gateway import Fault
from lab.plane.plain_host import PlainHost
from lab.plane.plain_stubs import Answer, Scripts
from lab.plane.plain_volumes import PlainVolume

if TYPE_CHECKING:
    from lab.plane.plain import PlainMachines

BOOT_LOOK_SECONDS: Final = 0.02


class PlainMachine:
    """One machine."""

    def __init__(self, plane: PlainMachines, order: MachineOrder, address: str, faults: set[Fault]) -> None:
        self.order = order
        self.address = address
        self.faults = faults
        self.on = True
        self.boots_at = time.monotonic() + order.boot_seconds
        self.boots = 0
        """How often it has booted again."""
        self.gone = threading.Event()
        self._plane = plane
        self._changing = threading.RLock()
        """Held while anything of it changes."""
        folder = plane.folder / order.instance_id
        self.host = PlainHost(
            folder, order.instance_id, partial(plane.volumes.attached_to, order.instance_id), plane.metadata, plane.secret,
            tags_in_metadata=order.tags_in_metadata,
        )  # fmt: skip
        self.scripts = Scripts(plane.stubs, self.host.environment)
        self.engine = Engine(
            Setting(
                address, faults, self.host.state / "secrets/secrets.json", self.host.processes, plane.loop,
                lambda: plane.timing.gateway_start, self._pull, self.host.mounted,
            )
        )  # fmt: skip
        self.host.in_use = self.engine.is_up

    @property
    def power(self) -> Power:
        """How it is now."""
        if not self.on:
            return Power.STOPPED
        return Power.BOOTING if Fault.NEVER_BOOTS in self.faults or time.monotonic() < self.boots_at else Power.RUNNING

    def run(self, script: str, timeout_seconds: float | None = None) -> CommandResult:
        """Run a script. Raises `LookupError` where it ends with the machine's power, `Rebooted` where that comes back."""
        boot = self.scripts.boot
        try:
            return self.scripts.run(script, partial(self._answer, boot), boot, timeout_seconds)
        except LookupError:
            raise Rebooted(self.order.instance_id) if self.on else LookupError(f"{self.order.instance_id} went away.") from None

    def run_user_data(self) -> None:
        """Once it has booted for the first time; never again."""
        while self.power is Power.BOOTING and not self.scripts.boot:
            if self.gone.wait(BOOT_LOOK_SECONDS):
                return
        with suppress(LookupError):
            if not self.scripts.boot:
                self.run(self.order.user_data)

    def cut_power(self) -> None:
        """Have it stop without a word."""
        self.on = False
        self._lose_what_runs()

    def lose(self, volume: PlainVolume) -> None:
        """Have a disk go away under what uses it."""
        with self._changing:
            if volume.mounted:
                self.engine.lose_power()
            self.host.unplug(volume)

    def reboot(self) -> None:
        """Have its system start anew, or boot again after its power was cut."""
        self._lose_what_runs()
        self.on, self.boots, self.boots_at = True, self.boots + 1, time.monotonic() + self.order.boot_seconds
        boot = self.scripts.boot
        threading.Thread(target=self._come_up, args=(boot,), name=f"boot-{self.order.instance_id}", daemon=True).start()

    def _lose_what_runs(self) -> None:
        with self._changing:
            self.scripts.end()
            self.engine.lose_power()
            self.host.unmount()
            self.host.metadata_closed = False

    def _come_up(self, boot: int) -> None:
        """Once it has booted again: the unit, if one was installed, and then Docker, whose container starts where its volume is mounted."""
        while self.power is Power.BOOTING and self.scripts.boot == boot:
            if self.gone.wait(BOOT_LOOK_SECONDS):
                return
        with suppress(LookupError):
            unit = self.host.unit
            if unit is not None:
                self.scripts.run(unit, partial(self._answer, boot), boot)
            with self._changing:
                if self.scripts.boot == boot:
                    self.engine.boot()

    def _answer(self, boot: int, words: Sequence[str]) -> Answer:
        """What a stub asks. Nothing changes any more once the script that asks has ended with the power."""
        program, rest = words[0], words[1:]
        if program == "curl":
            return self.host.run(program, rest)
        if program == "docker" and rest[0] == "pull":
            return self.engine.run(rest)
        with self._changing:
            if self.scripts.boot != boot:
                raise Rebooted(self.order.instance_id)
            if program == "docker":
                return self.engine.run(rest)
            if program == "configure":
                return self.engine.configure(rest[0])
            return self.engine.signal(rest) if program == "kill" else self.host.run(program, rest)

    def _pull(self, image: str) -> bool:
        if image in self._plane.missing_images:
            return False
        time.sleep(self._plane.timing.pull)
        return True
