"""Machines as processes: a directory with a supervisor for each. They share the computer and its user, so nothing isolates them."""

from __future__ import annotations

import asyncio
import os
import socket
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil
import structlog

from openclaw_hosted.adapters.local.beneath import remove_tree
from openclaw_hosted.adapters.local.files import locked, read_json, subfolders, write_json
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.adapters.local.runtimes import PROCESS, Runtimes
from openclaw_hosted.domain.addresses import MACHINE_PORTS
from openclaw_hosted.domain.errors import NoCapacity, NotFound
from openclaw_hosted.domain.gateway import MEMORY_BYTES
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth, ObservedMachine, one_of

BYTES_KEPT_FREE: Final = 500_000_000
PORT_STEP: Final = 120
"""OpenClaw derives further ports from its own; what is this far apart never meets."""
SETTLING_SECONDS: Final = 90.0
"""A gateway younger than this has not taken all its memory yet."""
ZONE: Final = "local"
TERMINATE_MARK: Final = "terminate"

log = structlog.get_logger("machines")


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What machine.json says."""

    machine_id: str = ""
    volume_id: str = ""
    reserved_instance_id: str = ""
    image: str = ""
    kind: str = PROCESS
    port: int | None = None
    launched_at: float = 0.0

    @property
    def address(self) -> str | None:
        """`host:port` of the gateway."""
        return f"127.0.0.1:{self.port}" if self.port else None


class LocalMachines:
    """DIR/machines/<machine id>/, each with a supervisor that outlives the control plane. The provider's id is the machine's id."""

    def __init__(self, data_dir: Path, runtimes: Runtimes, clock: Clock, *, ports: range = MACHINE_PORTS[::PORT_STEP]) -> None:
        self._directory = data_dir.resolve() / "machines"
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._directory / ".lock"
        self._runtimes = runtimes
        self._clock = clock
        self._ports = ports

    async def launch(self, spec: LaunchSpec) -> str:
        """Make the machine, or find it where it exists; returns the provider's id. Raises `NoCapacity`."""
        if await asyncio.to_thread(self._is_doomed, spec.machine_id):
            raise NoCapacity(f"Machine {spec.machine_id} is shutting down.")
        if not (self._directory / spec.machine_id / "machine.json").exists() and await self.room() == 0:
            raise NoCapacity(f"This computer has no memory for another OpenClaw, which takes about {MEMORY_BYTES / 1e9:.1f} GB.")
        await self._runtimes.chosen.make_ready()
        await asyncio.to_thread(self._make, spec)
        await self._process(spec.machine_id).supervise()
        return spec.machine_id

    async def adopt(self, provider_ref: str, spec: LaunchSpec) -> None:  # noqa: ARG002
        """Nobody starts a machine of this computer by hand: one that exists is ours. Raises `NotFound`."""
        await asyncio.to_thread(self._existing, provider_ref)

    async def observe(self) -> Sequence[ObservedMachine]:
        """All machines that exist. Also clears away what is left of terminated ones, and looks after what machines share."""
        await self._runtimes.keep_ready()
        return await asyncio.to_thread(self._observe)

    async def look_for(self, machine_id: MachineId, provider_ref: str | None) -> ObservedMachine | None:
        """Among all: they are few."""
        return one_of(await self.observe(), machine_id, provider_ref)

    async def label(self, provider_ref: str, labels: Mapping[str, str]) -> None:
        """Write labels to labels.json. Raises `NotFound`."""
        await asyncio.to_thread(lambda: write_json(self._existing(provider_ref) / "labels.json", dict(labels)))

    async def start(self, provider_ref: str) -> None:
        """Give a machine whose supervisor died a new one, which starts its gateway again. Raises `NotFound`."""
        path = await asyncio.to_thread(self._existing, provider_ref)
        await self._runtimes.of(machine_facts(path).kind).make_ready()
        await self._process(provider_ref).supervise()

    async def terminate(self, provider_ref: str) -> None:
        """Ask gateway and supervisor to end; the directory goes once they have, seen by `observe`."""
        if not await asyncio.to_thread(self._doom, provider_ref):
            return
        process = self._process(provider_ref)
        await process.ask_to_leave()

    async def economize(self, provider_refs: Sequence[str]) -> Sequence[str]:
        """Machines of this computer have no price."""
        return provider_refs

    async def room(self) -> int | None:
        """How many more gateways the free memory takes, counting in those that have not grown yet."""
        return await asyncio.to_thread(self._room)

    def _make(self, spec: LaunchSpec) -> None:
        with locked(self._lock):
            path = self._path(spec.machine_id)
            if path.exists():
                return
            draft = self._directory / f".{spec.machine_id}.new"
            draft.mkdir(mode=0o700, exist_ok=True)
            facts = MachineFacts(
                spec.machine_id, spec.volume_id, spec.reserved_instance_id, spec.image, self._runtimes.chosen.kind, self._free_port(),
                self._clock.now(),
            )  # fmt: skip
            write_json(draft / "machine.json", asdict(facts))
            draft.rename(path)

    def _free_port(self) -> int:
        taken = {machine_facts(path).port for path in self._machine_dirs()}
        start = zlib.crc32(os.fsencode(self._directory)) % len(self._ports)
        for index in range(len(self._ports)):
            port = self._ports[(start + index) % len(self._ports)]
            if port not in taken and _is_bindable(port):
                return port
        raise NoCapacity("All ports for machines are taken.")

    def _observe(self) -> Sequence[ObservedMachine]:
        return [seen for path in self._machine_dirs() if (seen := self._seen(path)) is not None]

    def _seen(self, path: Path) -> ObservedMachine | None:
        """The machine in this directory; None where nothing is left of it. One that can't be looked at is not taken to be gone."""
        doomed = (path / TERMINATE_MARK).exists()
        try:
            return self._look(path, doomed=doomed)
        except (OSError, ValueError, TypeError, RecursionError) as problem:
            log.warning("machine can't be looked at", machine=path.name, error=type(problem).__name__)
            health = MachineHealth.SHUTTING_DOWN if doomed else MachineHealth.BOOTING
            return ObservedMachine(path.name, MachineId(path.name), health, None, ZONE, 0.0)

    def _look(self, path: Path, *, doomed: bool) -> ObservedMachine | None:
        process = SupervisedProcess(path, self._clock)
        alive = process.is_alive()
        if doomed and alive:
            with suppress(BlockingIOError):  # by a control plane that was stopped at it, perhaps: the next look asks again
                process.leave(wait=False)
        elif doomed and self._cleared(path):
            return None
        facts, labels = machine_facts(path), _labels(path)
        return ObservedMachine(
            provider_ref=path.name,
            machine_id=MachineId(facts.machine_id) if facts.machine_id else None,
            health=MachineHealth.SHUTTING_DOWN if doomed else MachineHealth.UP if alive else MachineHealth.STOPPED,
            address=facts.address,
            zone=ZONE,
            launched_at=facts.launched_at,
            serves_user=labels.get("Status") == "assigned",
            labels=labels,
            reserved_instance_id=InstanceId(facts.reserved_instance_id) if facts.reserved_instance_id else None,
            image=facts.image,
        )

    def _cleared(self, path: Path) -> bool:
        """Whether nothing of a terminated machine is left."""
        if not SupervisedProcess(path).end_leftovers() or not self._runtimes.of(machine_facts(path).kind).clear(path):
            return False
        remains = self._directory / f".{path.name}.gone"
        remove_tree(remains)
        with suppress(FileNotFoundError):
            path.rename(remains)
        remove_tree(remains)
        return True

    def _is_doomed(self, provider_ref: str) -> bool:
        return (self._path(provider_ref) / TERMINATE_MARK).exists()

    def _doom(self, provider_ref: str) -> bool:
        path = self._path(provider_ref)
        if not path.is_dir():
            return False
        (path / TERMINATE_MARK).touch(mode=0o600)
        return True

    def _room(self) -> int:
        now = self._clock.now()
        growing = 0
        for path in self._machine_dirs():
            status = SupervisedProcess(path).status()
            young = status.started_at is None or now - status.started_at < SETTLING_SECONDS
            growing += status.child_pid is None or young
        free = int(psutil.virtual_memory().available) - BYTES_KEPT_FREE
        return max(0, free // MEMORY_BYTES - growing)

    def _machine_dirs(self) -> Iterator[Path]:
        return (path for path in sorted(self._directory.iterdir()) if path.is_dir() and not path.name.startswith("."))

    def _process(self, provider_ref: str) -> SupervisedProcess:
        return SupervisedProcess(self._path(provider_ref), self._clock)

    def _existing(self, provider_ref: str) -> Path:
        path = self._path(provider_ref)
        if not path.is_dir() or (path / TERMINATE_MARK).exists():
            raise NotFound(f"Machine {provider_ref} does not exist.")
        return path

    def _path(self, provider_ref: str) -> Path:
        if not provider_ref or "/" in provider_ref or provider_ref.startswith("."):
            raise NotFound("That is not the id of a machine.")
        return self._directory / provider_ref


def ports_of_machines(data_dir: Path) -> Iterator[int]:
    """Those of this computer that machines of the data directory have taken, with what OpenClaw derives from them."""
    for path in subfolders(data_dir / "machines"):
        if (port := machine_facts(path).port) is not None:
            yield from range(port, port + PORT_STEP)


def machine_facts(path: Path) -> MachineFacts:
    """Of the machine in this directory; they never change. Empty ones where none is there."""
    body = read_json(path / "machine.json") or {}
    return MachineFacts(**{name: body[name] for name in MachineFacts.__slots__ if name in body})


def _labels(path: Path) -> dict[str, str]:
    return {str(name): str(value) for name, value in (read_json(path / "labels.json") or {}).items()}


def _is_bindable(port: int) -> bool:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as problem:
            if family == socket.AF_INET or problem.errno == 98:
                return False
    return True
