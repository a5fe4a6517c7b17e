"""Programs that outlive the control plane: each has a supervisor of its own, known by the lock that it holds on its directory."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from openclaw_hosted.adapters.local.files import is_locked, locked, read_json, write_json
from openclaw_hosted.adapters.local.processes import supervisor
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.ports.clock import Clock

POLL_SECONDS = 0.02
LEAVE_MARGIN_SECONDS = 15.0
HURRY_SECONDS = 5.0
HANDED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
"""What a supervisor takes over of the environment. It lives for months, and the platform's own may hold secrets."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `env` is the whole environment; secrets do not belong into `argv` or `env`, which others may read."""

    argv: Sequence[str]
    """The first is an absolute path."""
    env: Mapping[str, str]
    cwd: str
    log: str
    """Where its output goes; rotated at 10 MB."""
    stop_timeout_seconds: float = 10.0
    never_restart_exit_codes: Sequence[int] = ()
    nice: int = 0
    """How far it stands behind others for processor time, as `nice` counts."""
    cleanup: Sequence[str] = ()
    """A command that clears away what the program leaves elsewhere, and fails unless nothing is left."""

    @property
    def fingerprint(self) -> str:
        """Tells programs apart: a running one with another fingerprint is replaced."""
        content = {name: value for name, value in asdict(self).items() if name not in ("cleanup", "nice") or value}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """How a supervised program is."""

    state: str = "stopped"
    """`running`, `waiting` (to be started again), `refused` (its exit code said not to), `stopped`."""
    supervisor_pid: int | None = None
    child_pid: int | None = None
    started_at: float | None = None
    """Seconds since the epoch."""
    restarts: int = 0
    exit_code: int | None = None
    """Of the last exit since the program was last changed."""
    fingerprint: str | None = None
    clean: bool = True
    """Whether what it leaves elsewhere was cleared away since it last ran."""
    stopping: bool = False
    """Whether the program that runs is to end, as another, another start of it, or none is wanted."""


class SupervisedProcess:
    """One program with its supervisor, known by its directory. Any process may make this object: it adopts what runs."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self.directory = directory.resolve()
        self._clock = clock or SystemClock()

    @property
    def lock_path(self) -> Path:
        """Locked for as long as a supervisor lives."""
        return self.directory / "lock"

    def is_alive(self) -> bool:
        """Whether its supervisor lives."""
        return is_locked(self.lock_path)

    def status(self) -> ProcessStatus:
        """How the program is, as its supervisor last wrote."""
        body = read_json(self.directory / "status.json") or {}
        if not self._is_my_supervisor(body.get("supervisor_pid")) or not self.is_alive():
            return ProcessStatus()
        status = ProcessStatus(**{name: body[name] for name in ProcessStatus.__slots__ if name in body})
        desired = read_json(self.directory / "desired.json") or {}
        wanted = desired.get("run") and desired.get("fingerprint") == status.fingerprint
        return replace(status, stopping=status.child_pid is not None and not wanted)

    async def ensure(self, program: Program) -> None:
        """Have the program run, and no other. Does nothing where it does; does not wait for it."""
        await asyncio.to_thread(self._ensure, program)

    async def supervise(self) -> None:
        """Have a supervisor; a program wanted before is wanted again."""
        await asyncio.to_thread(self._supervise)

    async def restart(self, *, at_once: bool = False) -> None:
        """Stop the program cleanly and start it again; does not wait for either. Does nothing where none is wanted, nor where the one
        that runs is ending already.

        `at_once`: it is ended by force after `HURRY_SECONDS`, whatever its own time-out.
        """
        await asyncio.to_thread(self._restart, at_once=at_once)

    async def try_again(self) -> None:
        """Have a program started that refused to; returns once its supervisor has taken that up, and the refusal is forgotten."""
        await self.restart()
        await self._wait(lambda: self.status().state != "refused", LEAVE_MARGIN_SECONDS)

    async def halt(self, timeout_seconds: float | None = None, *, hurry_seconds: float | None = None) -> None:
        """Stop the program and wait until it has; the supervisor stays. After `hurry_seconds` it is ended by force, whatever its own
        time-out; one that is being stopped already keeps its own."""
        await asyncio.to_thread(self._want_stopped, leave=False, hurry=hurry_seconds or 0.0)
        await self._wait(self._has_stopped, timeout_seconds)

    async def ask_to_leave(self) -> None:
        """Ask the program and its supervisor to end; does not wait."""
        await asyncio.to_thread(self.leave)

    async def stop(self, timeout_seconds: float | None = None) -> None:
        """End the program and its supervisor, and wait until nothing is left of either."""
        await self.ask_to_leave()
        await self._wait(lambda: not self.is_alive(), timeout_seconds)
        await self._wait(self.end_leftovers, LEAVE_MARGIN_SECONDS)

    def leave(self, *, wait: bool = True) -> None:
        """Ask the program and its supervisor to end. Without `wait`, raises `BlockingIOError` while another process asks for something."""
        self._want_stopped(leave=True, wait=wait)

    def end_leftovers(self) -> bool:
        """Send the end to what runs without a supervisor, which happens only where that was killed; whether there was nothing."""
        if self.is_alive():
            return True
        found = supervisor.marked_processes(str(self.directory))
        for pid in found:
            supervisor.kill(pid, signal.SIGKILL)
        return not found

    def _ensure(self, program: Program) -> None:
        with locked(self._write_lock()):
            desired = read_json(self.directory / "desired.json") or {}
            known = str(desired.get("fingerprint", ""))
            fingerprint = known if known.partition("#")[0] == program.fingerprint else program.fingerprint
            wanted = {**json.loads(json.dumps(asdict(program))), "fingerprint": fingerprint, "run": True, "leave": False}
            if desired != wanted:
                write_json(self.directory / "desired.json", wanted)
        self._supervise()

    def _restart(self, *, at_once: bool) -> None:
        with locked(self._write_lock()):
            desired = read_json(self.directory / "desired.json")
            if desired and desired.get("argv") and (at_once or not (desired.get("run") and self.status().stopping)):
                count = int(str(desired["fingerprint"]).partition("#")[2] or 0) + 1
                fingerprint = f"{str(desired['fingerprint']).partition('#')[0]}#{count}"
                write_json(
                    self.directory / "desired.json", {**desired, "fingerprint": fingerprint, "run": True, "hurry": HURRY_SECONDS * at_once}
                )
        self._supervise()

    def _want_stopped(self, *, leave: bool, hurry: float = 0.0, wait: bool = True) -> None:
        if not self.directory.is_dir():
            return
        with locked(self._write_lock(), wait=wait):
            desired = read_json(self.directory / "desired.json") or {}
            wanted = {**desired, "run": False, "leave": leave, "hurry": hurry}
            if desired == wanted:
                return
            write_json(self.directory / "desired.json", wanted)
        self._hint()

    def _supervise(self) -> None:
        with locked(self._write_lock()):
            desired = read_json(self.directory / "desired.json")
            if desired is None or desired.get("leave"):
                write_json(self.directory / "desired.json", {**(desired or {"run": False}), "leave": False})
        if self.is_alive():
            self._hint()
            return
        command = [sys.executable, "-S", "-I", supervisor.__file__, str(self.directory)]
        nowhere, environment = subprocess.DEVNULL, {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        done = subprocess.run(
            command, stdin=nowhere, stdout=nowhere, stderr=subprocess.PIPE, cwd="/", check=False, text=True, env=environment
        )
        if done.returncode not in (0, supervisor.ALREADY_SUPERVISED):
            raise Unavailable(f"A supervisor can't be started: {done.stderr.strip()[-300:]}")

    def _has_stopped(self) -> bool:
        status = self.status()
        return status.child_pid is None and status.clean

    def _hint(self) -> None:
        """Have the supervisor look now rather than within a second."""
        pid = (read_json(self.directory / "status.json") or {}).get("supervisor_pid")
        if isinstance(pid, int) and self._is_my_supervisor(pid):
            supervisor.kill(pid, signal.SIGHUP)

    def _is_my_supervisor(self, pid: object) -> bool:
        """Whether a supervisor of this directory has this pid: what a dead one wrote does not count."""
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.directory) in arguments

    def _write_lock(self) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.directory / "desired.lock"

    async def _wait(self, condition: Callable[[], bool], timeout_seconds: float | None) -> None:
        if timeout_seconds is None:
            desired = await asyncio.to_thread(read_json, self.directory / "desired.json") or {}
            timeout_seconds = float(desired.get("stop_timeout_seconds", 10.0)) + LEAVE_MARGIN_SECONDS
        deadline = self._clock.monotonic() + timeout_seconds
        while not await asyncio.to_thread(condition):
            if self._clock.monotonic() > deadline:
                raise Unavailable(f"{self.directory.name} did not stop within {timeout_seconds:.0f} seconds.")
            await self._clock.sleep(POLL_SECONDS)
