"""The data directory: made, checked, and held by one control plane at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from openclaw_hosted.choices import MachineKind, Tls
from openclaw_hosted.domain.addresses import parse_local_models
from openclaw_hosted.domain.errors import OpenClawHostedError, StateConflict, Unavailable

if TYPE_CHECKING:
    from openclaw_hosted.settings import Settings

DEFAULT_DATA_DIR: Final = Path("~/.local/share/openclaw-hosted")
LEAST_FREE_BYTES: Final = 4_000_000
"""With less, the disk counts as full: what one request writes may not fit."""
SOCKET_PATH_MAX_BYTES = 107
LONGEST_SOCKET_NAME = "caddy-admin.sock"
STARTED_FILE = "started.json"
SHARED_FOLDERS = ("run", "vault", "machines", "volumes", "edge", "logs")
REMEMBERED = (
    "host", "port", "public_url", "other_urls", "machines", "spares", "fleet_cap", "instances_per_user", "instances_total",
    "retention_days", "backup_every_hours", "backup_dir", "tls", "http_port", "local_models", "private_webhooks",
)  # fmt: skip
CONVERTED: Mapping[str, Callable[[Any], object]] = {
    "backup_dir": Path, "other_urls": tuple, "machines": MachineKind, "tls": Tls, "local_models": parse_local_models,
}  # fmt: skip
"""What JSON does not know by its type."""


class DataDirError(OpenClawHostedError):
    """The data directory can't be used."""


class Role(StrEnum):
    """A part of the control plane; a data directory has one process for each."""

    WEB = "web"
    CONTROLLER = "controller"


def absolute(data_dir: Path | None) -> Path:
    """`data_dir` as the settings take it; the default one for None."""
    return (data_dir or DEFAULT_DATA_DIR).expanduser().absolute()


def free_bytes(data_dir: Path) -> int:
    """What is left for the platform on the disk of its data directory."""
    disk = os.statvfs(data_dir)
    return disk.f_bavail * disk.f_frsize


def has_platform(settings: Settings) -> bool:
    """Whether a platform was ever started on the data directory, or restored into it; makes nothing."""
    database = settings.data_dir if settings.database is not None else settings.data_dir / "platform.sqlite"
    return database.exists()


def check_platform(settings: Settings) -> None:
    """Raise `Unavailable`, with the way out, where there is no platform."""
    if not has_platform(settings):
        raise Unavailable(
            f"There is no platform in {settings.data_dir}. Start one: openclaw-hosted up --data-dir {shlex.quote(str(settings.data_dir))}"
        )


def open_to_others(data_dir: Path) -> Sequence[Path]:
    """The directory and what lies in it, as far as other users of this computer may use it. Links are not followed."""

    def is_open(path: Path) -> bool:
        mode = path.lstat().st_mode
        return not stat.S_ISLNK(mode) and bool(mode & 0o077)

    return [path for path in (data_dir.resolve(), *sorted(data_dir.iterdir())) if is_open(path)]


def prepare(data_dir: Path) -> None:
    """Make the directory and those inside it that all parts share, and close all of it to other users of this computer.

    Raises `DataDirError` with the way out.
    """
    longest = data_dir / "run" / LONGEST_SOCKET_NAME
    if len(os.fsencode(longest)) > SOCKET_PATH_MAX_BYTES:
        raise DataDirError(f"The path {data_dir} is too long for Unix sockets; choose a shorter --data-dir.")
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if data_dir.stat().st_mode & stat.S_ISVTX:
            raise DataDirError(f"{data_dir} is shared by all users of this computer. Choose a folder of its own with --data-dir.")
        for name in SHARED_FOLDERS:
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
        for path in open_to_others(data_dir):
            path.chmod(path.stat().st_mode & 0o700)
        probe = data_dir / "run" / f".writable.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataDirError(f"{data_dir} can't be written: {reason}. Choose another with --data-dir, or change who owns it.") from error


def holder(data_dir: Path, role: Role) -> int | None:
    """The process that holds `role` of this data directory, if any; of several replicas, one."""
    return next((pid for path in _lock_paths(data_dir, role) if (pid := _holder(path)) is not None), None)


def holders(data_dir: Path) -> frozenset[int]:
    """All processes of the control plane on this data directory; 0 stands for one that can't be named."""
    found = (_holder(path) for role in Role for path in _lock_paths(data_dir, role))
    return frozenset(pid for pid in found if pid is not None)


def _holder(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 20).decode(errors="replace").strip()
        return int(text) if text.isdecimal() else 0
    finally:
        os.close(descriptor)
    return None


@contextmanager
def held(data_dir: Path, roles: Sequence[Role], replica: int = 1) -> Iterator[None]:
    """Hold `roles` of a data directory, as this replica. Raises `StateConflict` naming the process that holds one already."""
    with ExitStack() as stack:
        for role in roles:
            stack.enter_context(_lock(data_dir, _lock_path(data_dir, role, replica)))
        yield


@contextmanager
def _lock(data_dir: Path, path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _holder(path) or "unknown"
            raise StateConflict(
                f"A platform already runs on {data_dir} (process {pid}). Stop it with Ctrl-C or `openclaw-hosted down`, "
                "or choose another --data-dir."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock_path(data_dir: Path, role: Role, replica: int) -> Path:
    return data_dir / "run" / (f"{role}.lock" if replica == 1 else f"{role}.{replica}.lock")


def _lock_paths(data_dir: Path, role: Role) -> Iterator[Path]:
    return (data_dir / "run").glob(f"{role}*.lock")


def remember(settings: Settings) -> None:
    """Keep how the platform was started, for commands that run beside it."""
    body = {name: getattr(settings, name) for name in REMEMBERED}
    draft = settings.run_dir / f".{STARTED_FILE}.{os.getpid()}"
    draft.write_text(json.dumps(body, default=str))
    draft.replace(settings.run_dir / STARTED_FILE)


def as_started(settings: Settings) -> Settings:
    """`settings` as the platform of the data directory was last started, but for what was given now."""
    try:
        body = json.loads((settings.run_dir / STARTED_FILE).read_text())
        known = {name: body[name] for name in REMEMBERED if name in body and name not in settings.model_fields_set}
    except (OSError, ValueError, TypeError):
        return settings
    typed = {name: CONVERTED[name](value) for name, value in known.items() if name in CONVERTED and value is not None}
    return settings.model_copy(update={**known, **typed})
