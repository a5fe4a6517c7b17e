"""Keeps one program running: `python -S -I supervisor.py DIR`.

A program of its own, with the standard library only, so that it outlives whoever started it. It holds a lock on DIR/lock for
as long as it lives, does what DIR/desired.json says (see `SupervisedProcess`), and tells of it in DIR/status.json and
DIR/exits.jsonl. It exits with 0 once it runs in the background, with 3 where another already does.

SIGHUP makes it read desired.json at once, SIGTERM makes it stop the program and leave. It restarts the program after a crash,
ever more slowly, but never after an exit code that says that starting again will not help. A program may come with a command that
clears away what it leaves elsewhere: until that succeeds, neither does the program start nor the supervisor leave.
"""
# os.path and open(): the fewer modules it loads, the less memory each machine costs.
# ruff: noqa: PTH100, PTH105, PTH110, PTH112, PTH116, PTH118, PTH123, PTH202, PTH208

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import sys
import time
from typing import Any, NoReturn

ALREADY_SUPERVISED = 3
MARKER = "OPENCLAW_HOSTED_SUPERVISED"
SIGNALS = {signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT}
TICK_SECONDS = 1.0
FIRST_BACKOFF_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
LEFTOVER_GRACE_SECONDS = 3.0
CLEANUP_SECONDS = 30.0
LOG_BYTES = 10_000_000
LOGS_KEPT = 3
EXITS_BYTES = 200_000
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def processes() -> dict[int, int]:
    """All processes as {pid: parent pid}."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if fields[0] != b"Z":
                found[int(name)] = int(fields[1])
    return found


def descendants(root: int) -> set[int]:
    """All processes below `root`."""
    parents = processes()
    found = set()
    for pid in parents:
        ancestor = parents.get(pid)
        while ancestor and ancestor != root:
            ancestor = parents.get(ancestor)
        if ancestor:
            found.add(pid)
    return found


def marked_processes(directory: str) -> set[int]:
    """The processes that were started with the mark of this directory, wherever they are now."""
    mark = f"{MARKER}={directory}".encode()
    return {pid for pid in processes() if pid != os.getpid() and marked(pid, mark)}


def marked(pid: int, mark: bytes) -> bool:
    """Whether the process was started with this mark."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def kill(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def rotate(path: str, limit: int, kept: int) -> None:
    """Copy a log that grew beyond the limit and empty it; its writers append, so they need not know."""
    try:
        if os.path.getsize(path) <= limit:
            return
    except OSError:
        return
    for number in range(kept - 1, 0, -1):
        if os.path.exists(f"{path}.{number}"):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    with open(path, "rb") as source, open(f"{path}.1", "wb") as copy:
        os.fchmod(copy.fileno(), 0o600)
        while chunk := source.read(1 << 20):
            copy.write(chunk)
    os.truncate(path, 0)


class Supervisor:
    """One program and what is wanted of it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.desired: dict[str, Any] = {}
        self.desired_stat: tuple[int, int] | None = None
        self.child: int | None = None
        self.running: dict[str, Any] = {}
        self.started_at = 0.0
        self.next_start = 0.0
        self.backoff = FIRST_BACKOFF_SECONDS
        self.restarts = 0
        self.exit_code: int | None = None
        self.exited_at: float | None = None
        self.refused: str | None = None
        self.leaving = False
        self.cleanup: list[str] = []

    def path(self, name: str) -> str:
        """A file of this supervisor."""
        return os.path.join(self.directory, name)

    def serve(self) -> None:
        """Do what is wanted until told to leave."""
        self.sweep()
        self.read_desired()
        self.cleanup = self.desired.get("cleanup", [])
        while True:
            try:
                self.step()
            except OSError as problem:
                print(f"{time.strftime('%FT%TZ', time.gmtime())} {problem}", file=sys.stderr, flush=True)
            if self.leaving and self.child is None and not self.cleanup:
                return
            received = signal.sigtimedwait(SIGNALS, self.wait_seconds())
            if received and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                self.leaving = True

    def wait_seconds(self) -> float:
        """How long nothing is due."""
        if self.child is None and self.wanted():
            return min(TICK_SECONDS, max(0.01, self.next_start - time.monotonic()))
        return TICK_SECONDS

    def wanted(self) -> bool:
        """Whether the program should run."""
        return bool(self.desired.get("run")) and not self.leaving and self.refused != self.desired.get("fingerprint")

    def step(self) -> None:
        """Bring what is and what is wanted together."""
        self.read_desired()
        self.reap()
        if self.child is not None and (not self.wanted() or self.running.get("fingerprint") != self.desired.get("fingerprint")):
            self.stop(self.child)
        if self.child is None and self.cleanup:
            self.clean_up()
        if self.child is None and not self.cleanup and self.wanted() and time.monotonic() >= self.next_start:
            self.start()
        if self.running:
            rotate(self.running["log"], LOG_BYTES, LOGS_KEPT)

    def read_desired(self) -> None:
        """Read what is wanted, if it changed. A supervisor whose directory is gone leaves."""
        try:
            facts = os.stat(self.path("desired.json"))
            stamp = (facts.st_ino, facts.st_mtime_ns)
            if stamp == self.desired_stat:
                return
            with open(self.path("desired.json"), "rb") as file:
                desired = json.load(file)
        except FileNotFoundError:
            self.leaving = self.leaving or self.desired_stat is not None or not os.path.isdir(self.directory)
            return
        except ValueError:
            return
        self.desired_stat = stamp
        if desired.get("fingerprint") != self.desired.get("fingerprint"):
            self.forget_failures()
        self.desired = desired
        self.leaving = self.leaving or bool(desired.get("leave"))
        self.write_status()

    def forget_failures(self) -> None:
        """Start with a clean slate: what is wanted is new."""
        self.refused = self.exit_code = self.exited_at = None
        self.restarts = 0
        self.next_start = 0.0
        self.backoff = FIRST_BACKOFF_SECONDS

    def start(self) -> None:
        """Start the program."""
        desired = self.desired
        log = os.open(desired["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        environment = {**desired.get("env", {}), MARKER: self.directory}
        supervisor = os.getpid()
        child = os.fork()
        if child == 0:
            become(desired, environment, log, supervisor)
        os.close(log)
        self.child = child
        self.running = desired
        self.started_at = time.time()
        self.write_status()

    def reap(self) -> None:
        """Collect what ended; decide whether and when to start the program again."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.child:
                self.ended(os.waitstatus_to_exitcode(status), asked=False)

    def ended(self, code: int, *, asked: bool) -> None:
        """Record an exit, and when to start again unless it was asked for."""
        uptime = time.time() - self.started_at
        fingerprint, refusals = self.running.get("fingerprint"), self.running.get("never_restart_exit_codes", [])
        self.child = None
        self.exit_code, self.exited_at = code, time.time()
        self.cleanup = self.running.get("cleanup", [])
        self.sweep()
        if not asked:
            self.backoff = FIRST_BACKOFF_SECONDS if uptime >= HEALTHY_SECONDS else self.backoff
            self.next_start = time.monotonic() + self.backoff
            self.backoff = min(self.backoff * 2, BACKOFF_CAP_SECONDS)
            self.restarts += 1
            if code in refusals:
                self.refused = fingerprint
        self.record_exit({"at": self.exited_at, "exit_code": code, "uptime_seconds": round(uptime, 3), "asked": asked})
        self.write_status()

    def stop(self, child: int) -> None:
        """Ask the program to end, wait, and end by force what is left of it."""
        kill(child, signal.SIGTERM)
        deadline = time.monotonic() + float(self.desired.get("hurry") or self.running.get("stop_timeout_seconds", 10))
        while self.child is not None and time.monotonic() < deadline:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                self.ended(os.waitstatus_to_exitcode(status), asked=True)
            else:
                time.sleep(0.02)
        if self.child is not None:
            kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            self.ended(os.waitstatus_to_exitcode(status), asked=True)
        self.forget_failures()

    def sweep(self) -> None:
        """End what the program left behind, in its group or out of it."""
        asked: set[int] = set()
        deadline = time.monotonic() + LEFTOVER_GRACE_SECONDS
        while found := descendants(os.getpid()) | marked_processes(self.directory):
            for pid in found if time.monotonic() >= deadline else found - asked:
                kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
            asked |= found
            self.collect()
            time.sleep(0.02)
        self.collect()

    def clean_up(self) -> None:
        """Run the program's command for what it left elsewhere; again at the next step unless it succeeds."""
        nothing = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, nothing, number) for number in (0, 1, 2)]
        environment = (self.running or self.desired).get("env", {})
        pid = os.posix_spawn(self.cleanup[0], self.cleanup, environment, file_actions=actions, setsigmask=[])
        os.close(nothing)
        deadline = time.monotonic() + CLEANUP_SECONDS
        while not (ended := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < deadline:
            time.sleep(0.02)
        if not ended[0]:
            kill(pid, signal.SIGKILL)
            ended = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(ended[1]) == 0:
            self.cleanup = []
            self.write_status()

    def collect(self) -> None:
        """Collect the exit codes of adopted orphans."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def state(self) -> str:
        """One word for status.json."""
        if self.child is not None:
            return "running"
        if self.refused is not None:
            return "refused"
        return "waiting" if self.wanted() else "stopped"

    def write_status(self) -> None:
        """Tell how it is."""
        body = {
            "supervisor_pid": os.getpid(), "state": self.state(), "child_pid": self.child, "started_at": self.started_at,
            "restarts": self.restarts, "exit_code": self.exit_code, "exited_at": self.exited_at, "clean": not self.cleanup,
            "fingerprint": self.running.get("fingerprint") if self.child is not None else None,
        }  # fmt: skip
        draft = self.path(".status.json.new")
        with open(draft, "w") as file:
            os.fchmod(file.fileno(), 0o600)
            json.dump(body, file)
        os.replace(draft, self.path("status.json"))

    def record_exit(self, entry: dict[str, Any]) -> None:
        """Keep an exit for the record."""
        path = self.path("exits.jsonl")
        rotate(path, EXITS_BYTES, 1)
        with open(path, "a") as file:
            file.write(json.dumps(entry) + "\n")


def become(desired: dict[str, Any], environment: dict[str, str], log: int, supervisor: int) -> NoReturn:
    """In the forked child: turn into the program. Never returns."""
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        stand_back(int(desired.get("nice", 0)))
        if os.getppid() != supervisor:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(desired.get("cwd", "/"))
        os.execve(desired["argv"][0], desired["argv"], environment)  # noqa: S606 - a list of arguments, no shell
    except OSError as problem:
        os.write(log, f"can't start {desired['argv'][0]}: {problem}\n".encode())
    finally:
        os._exit(127)


def stand_back(nice: int) -> None:
    """Be nice to others: as a process, and as a session where Linux divides processor time between those first."""
    if nice:
        os.nice(nice)
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
            file.write(str(nice))


def run_in_background(directory: str) -> None:
    """Take the lock, then go on in a session of one's own; the exit code says how that went."""
    lock = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(ALREADY_SUPERVISED)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.umask(0o077)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    errors = os.open(os.path.join(directory, "supervisor.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    os.closerange(lock + 1, 256)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    Supervisor(directory).serve()


if __name__ == "__main__":
    run_in_background(os.path.abspath(sys.argv[1]))
