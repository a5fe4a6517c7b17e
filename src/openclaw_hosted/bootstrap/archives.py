"""Wires backup and restore: which database, which data directory, which passphrase."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Final

from openclaw_hosted import __version__, datadir
from openclaw_hosted.adapters.local.backup.archive import Manifest
from openclaw_hosted.adapters.local.backup.backups import LocalBackups, Plan, make_backup, name_of, read_history
from openclaw_hosted.adapters.local.backup.restore import DatabaseTarget, check_target, restore
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap.doctor.computer import Finding, Verdict
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.ports.backups import Backup, Backups, Progress
from openclaw_hosted.settings import Settings, SettingsError
from openclaw_hosted.store.portable import check_empty, loading, snapshot, upgrade_file

HOUR_SECONDS: Final = 3600.0
LATE_FACTOR: Final = 2.0
"""A backup older than so many times its interval is too old."""
PASSPHRASE_CHARACTERS: Final = 12
FILE_BYTES: Final = 4096
VOLUMES_NAMED: Final = 10

__all__ = ["Manifest", "back_up", "check_backups", "passphrase_of", "restore_backup", "scheduled_backups"]


async def back_up(settings: Settings, path: Path | None, passphrase: str | None, progress: Progress) -> Backup:
    """Write everything of the platform to `path`, by default a new file in the working directory. It may run meanwhile."""
    target = await asyncio.to_thread(_free_path, path)
    return await make_backup(_plan(settings, passphrase), target, partial(snapshot, settings.database_url), progress)


async def restore_backup(settings: Settings, path: Path, passphrase: str | None, progress: Progress) -> Manifest:
    """Put a backup into the data directory of `settings`, and its rows into the database. Raises unless both are empty."""
    for role in datadir.Role:
        pid = datadir.holder(settings.data_dir, role)
        if pid is not None:
            raise StateConflict(f"A platform runs on {settings.data_dir} (process {pid}). Restore into another --data-dir.")
    check_target(settings.data_dir)
    if settings.database is not None:
        await check_empty(settings.database_url)
    elsewhere = None if settings.database is None else partial(loading, url=settings.database_url)
    target = DatabaseTarget(upgrade_file, elsewhere)
    return await restore(path, passphrase, settings.data_dir, target, progress)


def scheduled_backups(settings: Settings) -> Backups | None:
    """What the control loops make backups with; None where they are not to."""
    if not settings.backup_every_hours:
        return None
    plan = _plan(settings, passphrase_of(settings))
    return LocalBackups(plan, settings.backups_into, settings.backup_keep, partial(snapshot, settings.database_url), SystemClock())


def passphrase_of(settings: Settings, file: Path | None = None) -> str | None:
    """The passphrase in `file`, else the one that the settings give; None where there is none. Raises `SettingsError`."""
    if file is not None:
        return _read(file, "--passphrase-file")
    if settings.backup_passphrase_file is not None:
        return _read(settings.backup_passphrase_file, "BACKUP_PASSPHRASE_FILE")
    return _checked(settings.backup_passphrase.get_secret_value(), "BACKUP_PASSPHRASE") if settings.backup_passphrase else None


def check_backups(settings: Settings) -> Finding:
    """The last scheduled backup is good, and not too old."""
    history, every = read_history(settings.data_dir), settings.backup_every_hours
    if not every:
        return Finding(
            "backup",
            Verdict.WARNING,
            "no backups are scheduled",
            "Set BACKUP_EVERY_HOURS=24 and BACKUP_DIR on another disk, or run `backup`.",
        )
    if history.error is not None:
        return Finding("backup", Verdict.PROBLEM, f"the last one failed: {history.error}", f"Look at {settings.backups_into} and the log.")
    if history.succeeded_at is None:
        return Finding("backup", Verdict.WARNING, "none was made yet", "The first is made once the platform runs.")
    age = (SystemClock().now() - history.succeeded_at) / HOUR_SECONDS
    text = f"the last is {age:.1f} hours old, in {settings.backups_into}"
    if age > every * LATE_FACTOR:
        return Finding("backup", Verdict.PROBLEM, text, f"One is due every {every:g} hours: does the platform run?")
    if history.path is not None and not Path(history.path).is_file():
        return Finding("backup", Verdict.PROBLEM, f"{history.path} is gone", "Was it moved? Make another: openclaw-hosted backup")
    if history.incomplete:
        named = ", ".join(history.incomplete[:VOLUMES_NAMED]) + (" and more" if len(history.incomplete) > VOLUMES_NAMED else "")
        way_out = "The log says what is missing and why; it is in the manifest of the backup as well."
        return Finding("backup", Verdict.WARNING, f"{text}; not whole in it: {named}", way_out)
    return Finding("backup", Verdict.OK, text)


def _free_path(path: Path | None) -> Path:
    name = name_of(SystemClock().now())
    target = (path or Path(name)).absolute()
    if target.is_dir():
        target = target / name
    if target.exists():
        raise StateConflict(f"{target} exists already; a backup is never written over a file.")
    if not target.parent.is_dir():
        raise StateConflict(f"There is no directory {target.parent}. Make it, or choose another place.")
    return target


def _plan(settings: Settings, passphrase: str | None) -> Plan:
    return Plan(settings.data_dir, passphrase, __version__)


def _read(file: Path, name: str) -> str:
    try:
        with file.expanduser().open(encoding="utf-8") as opened:
            return _checked(opened.read(FILE_BYTES).strip("\r\n"), name)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"{name}: {file} can't be read: {reason}.") from None


def _checked(passphrase: str, name: str) -> str:
    if len(passphrase) < PASSPHRASE_CHARACTERS:
        raise SettingsError(f"{name}: use a passphrase of at least {PASSPHRASE_CHARACTERS} characters.")
    return passphrase
