"""Docker's own command line, which knows contexts and sign-ins; no more of it than machines need."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable
from typing import IO, Final

from openclaw_hosted.domain.errors import NotFound, PortError, ProviderAway, Unavailable

CALL_SECONDS: Final = 60.0
PASSED_ON: Final = (
    "PATH",
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "XDG_RUNTIME_DIR",
)
NOT_THERE: Final = ("No such", "not found", "no such")
AWAY: Final = ("Cannot connect to the Docker daemon", "permission denied", "error during connect", "EOF", "connection refused")


def docker_path() -> str | None:
    """Where the command is; None where Docker is not installed."""
    return shutil.which("docker")


def docker_environment() -> dict[str, str]:
    """What the command needs of this process's environment."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


async def docker(*arguments: str, stdin: bytes | None = None, seconds: float = CALL_SECONDS) -> str:
    """Run a Docker command; returns what it printed.

    Raises `ProviderAway` where no engine answers in time, `NotFound` where what it names does not exist, else `PortError`.
    """
    process = await _spawn(arguments)
    try:
        output, problem = await asyncio.wait_for(process.communicate(stdin), seconds)
    except TimeoutError:
        raise ProviderAway(f"Docker did not answer within {seconds:.0f} seconds.") from None
    finally:
        await _reap(process)
    if process.returncode:
        raise _explained(problem.decode(errors="replace"))
    return output.decode(errors="replace").strip()


async def docker_fed(*arguments: str, feed: Callable[[IO[bytes]], None], told: Callable[[str], None], seconds: float) -> None:
    """Run a Docker command that reads what `feed` writes, in a thread, and tell each line that it prints. Raises as `docker`."""
    reading, writing = os.pipe()
    try:
        process = await _spawn(arguments, stdin=reading, merged=True)
    finally:
        os.close(reading)
    feeding = asyncio.create_task(asyncio.to_thread(_feed, feed, writing))
    try:
        async with asyncio.timeout(seconds):
            lines = await _lines(process, told)
            await feeding
            await process.wait()
    except TimeoutError:
        raise Unavailable(f"Docker did not finish within {seconds:.0f} seconds.") from None
    finally:
        await _reap(process)
        await asyncio.gather(feeding, return_exceptions=True)
    if process.returncode:
        raise _explained("\n".join(lines[-12:]))


def _feed(feed: Callable[[IO[bytes]], None], descriptor: int) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
        feed(pipe)


async def _lines(process: asyncio.subprocess.Process, told: Callable[[str], None]) -> list[str]:
    lines = []
    assert process.stdout is not None
    async for raw in process.stdout:
        lines.append(raw.decode(errors="replace").rstrip())
        told(lines[-1])
    return lines


async def _spawn(arguments: tuple[str, ...], *, stdin: int = asyncio.subprocess.PIPE, merged: bool = False) -> asyncio.subprocess.Process:
    path = docker_path()
    if path is None:
        raise Unavailable("Docker is not installed.")
    errors = asyncio.subprocess.STDOUT if merged else asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        path, *arguments, stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=errors, env=docker_environment(), limit=1 << 20
    )


async def _reap(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _explained(text: str) -> PortError:
    reason = text.strip()[-500:] or "no reason given"
    if any(sign in text for sign in AWAY):
        return ProviderAway(f"The Docker engine does not answer: {reason}")
    if any(sign in text for sign in NOT_THERE):
        return NotFound(reason)
    return PortError(f"Docker refused: {reason}")
