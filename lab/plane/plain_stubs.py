"""What the stubs of plain machines ask (plain_stubs.sh), and how scripts run with them in the place of this computer's programs."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from lab.plane.base import CommandResult
from lab.plane.loop import LoopThread, listen

STUBS: Final = Path(__file__).with_name("plain_stubs.sh")
BASH: Final = shutil.which("bash") or "bash"
REAL: Final = (
    "base64", "cat", "chmod", "comm", "cut", "date", "dd", "df", "find", "flock", "grep", "gzip", "head", "ls", "mkdir", "mktemp",
    "mv", "readlink", "rm", "sed", "sha256sum", "sort", "stat", "tail", "tar", "timeout", "tr", "wc", "xargs",
)  # fmt: skip
"""The programs of this computer that a script may run: none of them changes anything but files that it is told to."""
WORKERS: Final = 32

Answer = tuple[int, str]
"""Exit code, and what is said."""
Program = Callable[[Sequence[str]], Answer]
"""From the program's name and its arguments. Raises `LookupError` where the machine is gone meanwhile: then nothing answers."""


class Stubs:
    """Answers the stubs of all machines of a lab."""

    def __init__(self, loop: LoopThread, folder: Path, pause: Callable[[], float]) -> None:
        """`pause` is what each second takes of a script's `sleep`; it asks for one at least."""
        self._loop = loop
        self._pause = pause
        self._programs: dict[str, Program] = {}
        self._workers = ThreadPoolExecutor(WORKERS, "lab-stubs")
        self._tools = folder / "bin"
        self._tools.mkdir(parents=True)
        for name in REAL:
            (self._tools / name).symlink_to(shutil.which(name) or name)
        self._server = loop.call(listen(self._serve, "127.0.0.1"))
        self._port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Before the loop ends."""
        self._programs.clear()
        self._loop.soon(self._server.close)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def environment(self, key: str) -> Mapping[str, str]:
        """Of a script whose stubs ask under this key."""
        return {"PATH": str(self._tools), "BASH_ENV": str(STUBS), "LAB_PORT": str(self._port), "LAB_KEY": key}

    def admit(self, key: str, program: Program) -> None:
        """Answer what is asked under this key."""
        self._programs[key] = program

    def dismiss(self, key: str) -> None:
        """Answer no more."""
        self._programs.pop(key, None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            key, count = await _word(reader), int(await _word(reader))
            words = [await _word(reader) for _ in range(count)]
            code, said = await self._answer(key, words)
            writer.write(f"{code}\n{said}".encode())
            await writer.drain()
        except (OSError, LookupError, EOFError, RuntimeError):
            return
        finally:
            writer.close()

    async def _answer(self, key: str, words: Sequence[str]) -> Answer:
        program = self._programs[key]
        if words[0] == "sleep":
            await asyncio.sleep(self._pause() * max(1.0, float(words[1])))
            return 0, ""
        return await asyncio.get_running_loop().run_in_executor(self._workers, program, words)


async def _word(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\0"))[:-1].decode()


class Scripts:
    """The scripts that run on one machine, until its power goes."""

    def __init__(self, stubs: Stubs, environment: Mapping[str, str]) -> None:
        self._stubs = stubs
        self._environment = environment
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._boot = 0

    @property
    def boot(self) -> int:
        """How often everything that ran was ended."""
        return self._boot

    def run(self, script: str, program: Program, boot: int, timeout_seconds: float | None = None) -> CommandResult:
        """Run it with bash, if nothing was ended since `boot`. Raises `LookupError` if it is, before or meanwhile."""
        key = secrets.token_hex(8)
        with self._lock:
            if boot != self._boot:
                raise LookupError("it went away")
            self._stubs.admit(key, program)
            process = subprocess.Popen(
                [BASH, "-c", script], env={**self._environment, **self._stubs.environment(key)}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
            self._running[key] = process
        try:
            stdout, stderr = process.communicate(timeout=timeout_seconds)
            result = CommandResult(process.returncode, stdout, stderr)
        except subprocess.TimeoutExpired:
            _kill(process)
            stdout, stderr = process.communicate()
            result = CommandResult(-1, stdout, stderr, timed_out=True)
        finally:
            with self._lock:
                self._stubs.dismiss(key)
                self._running.pop(key, None)
        if boot != self._boot:
            raise LookupError("it went away")
        return result

    def end(self) -> None:
        """End all that runs, at once."""
        with self._lock:
            self._boot += 1
            for key, process in self._running.items():
                self._stubs.dismiss(key)
                _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
