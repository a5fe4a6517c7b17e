"""Backups of a data directory, made while the platform runs.

    platform.sqlite   the database, whichever it is        vault.key, vault/   credentials and the key to them
    volumes/          what each OpenClaw remembers          tls/                the edge's certificates, in an encrypted one only
    manifest.json     a SHA-256 for each of the others

The database is copied while the vault is locked: a credential is in the vault, or still sealed in the database, and never in neither.
Routes and machines are not kept: they belong to the computer, and the control loops make them anew.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.backup.allowance import Shares
from openclaw_hosted.adapters.local.backup.archive import ArchiveWriter, Manifest, copy_into, writing
from openclaw_hosted.adapters.local.backup.errors import BackupFailed
from openclaw_hosted.adapters.local.backup.volume import Kept, add_volume
from openclaw_hosted.adapters.local.files import locked, read_json, write_json
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.ports.backups import Backup, BackupHistory, DatabaseSnapshot, Progress
from openclaw_hosted.ports.clock import Clock

DATABASE: Final = "platform.sqlite"
KEY: Final = "vault.key"
TLS: Final = "tls"
PREFIX: Final = "openclaw-hosted-"
SUFFIX: Final = ".backup"
HISTORY: Final = "backup.json"
SCRATCH: Final = "backup-"

Snapshot = Callable[[Path], Awaitable[DatabaseSnapshot]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backup is to be. `passphrase` encrypts it."""

    data_dir: Path
    passphrase: str | None
    platform_version: str


class LocalBackups:
    """`Backups` into a directory; named by their time, so that names sort by age."""

    def __init__(self, plan: Plan, directory: Path, keep: int, snapshot: Snapshot, clock: Clock) -> None:
        self._plan = plan
        self._directory = directory
        self._keep = keep
        self._snapshot = snapshot
        self._clock = clock

    async def make(self) -> Backup:
        self._make_directory()
        return await make_backup(self._plan, self._directory / name_of(self._clock.now()), self._snapshot, _say_nothing)

    async def prune(self) -> Sequence[str]:
        return await asyncio.to_thread(self._prune)

    async def history(self) -> BackupHistory:
        return await asyncio.to_thread(read_history, self._plan.data_dir)

    async def record(self, history: BackupHistory) -> None:
        await asyncio.to_thread(write_json, self._plan.data_dir / HISTORY, asdict(history))

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise BackupFailed(f"{self._directory} can't be made: {error.strerror}. Choose another BACKUP_DIR.") from None

    def _prune(self) -> Sequence[str]:
        finished = sorted(self._directory.glob(f"{PREFIX}*{SUFFIX}"), reverse=True)
        doomed = [*finished[self._keep :], *self._directory.glob(f".{PREFIX}*.part")]
        for path in doomed:
            path.unlink(missing_ok=True)
        return [str(path) for path in doomed]


def name_of(now: float) -> str:
    """The name of a backup made at this time."""
    return f"{PREFIX}{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"


def read_history(data_dir: Path) -> BackupHistory:
    """How the scheduled backups of a data directory went."""
    body = read_json(data_dir / HISTORY) or {}
    return BackupHistory(**{name: body.get(name) for name in BackupHistory.__slots__})


async def make_backup(plan: Plan, path: Path, snapshot: Snapshot, progress: Progress) -> Backup:
    """Write a backup to `path`. Raises `Conflict` while another is being made, `BackupFailed` where it can't be written."""
    kept = Kept()
    with _alone(plan.data_dir) as scratch:
        progress("Copying the database")
        facts = await _copy_database_and_vault(plan, snapshot, scratch)
        try:
            return await _until_ended(kept, _write, plan, path, facts, scratch, progress, kept)
        except OSError as error:
            raise BackupFailed(f"The backup can't be written to {path}: {error.strerror}.") from None


async def _until_ended(kept: Kept, write: Callable[..., Backup], *arguments: object) -> Backup:
    """Run in a thread; where that is cancelled, have it stop and wait until it has."""
    work = asyncio.create_task(asyncio.to_thread(write, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        kept.stopped.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


async def _copy_database_and_vault(plan: Plan, snapshot: Snapshot, scratch: Path) -> DatabaseSnapshot:
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, locked(plan.data_dir / "vault" / ".lock"))
        facts = await snapshot(scratch / DATABASE)
        await asyncio.to_thread(_copy_vault, plan.data_dir, scratch, facts.instances)
    return facts


def _copy_vault(data_dir: Path, scratch: Path, instances: frozenset[InstanceId]) -> None:
    """The key, and the documents of instances; those of spares are made anew."""
    (scratch / "vault").mkdir(mode=0o700)
    if (data_dir / KEY).exists():
        shutil.copy2(data_dir / KEY, scratch / KEY)
    for document in (data_dir / "vault").glob("*.json"):
        if document.stem in instances:
            shutil.copy2(document, scratch / "vault" / document.name)


def _write(plan: Plan, path: Path, facts: DatabaseSnapshot, scratch: Path, progress: Progress, kept: Kept) -> Backup:
    with writing(path, plan.passphrase, kept.check) as archive:
        for source in _copied(scratch):
            copy_into(archive, source.relative_to(scratch).as_posix(), source)
        if plan.passphrase is not None:
            _add_certificates(archive, plan.data_dir / TLS, path.parent, scratch, kept)
        incomplete = _add_volumes(archive, plan.data_dir / "volumes", path.parent, facts, scratch, progress, kept)
        archive.finish(_manifest(plan, facts, archive, kept))
    return Backup(
        str(path), path.stat().st_size, plan.passphrase is not None, len(archive.members), len(facts.instances), tuple(kept.left_out),
        tuple(incomplete),
    )  # fmt: skip


def _add_volumes(
    archive: ArchiveWriter, folder: Path, target: Path, facts: DatabaseSnapshot, scratch: Path, progress: Progress, kept: Kept
) -> list[str]:
    """Returns the ids of the volumes of which something could not be kept."""
    volumes = [volume for volume in map(volume_of, sorted(facts.instances)) if (folder / volume).is_dir()]
    shares, incomplete = Shares(target, len(volumes)), []
    for number, volume in enumerate(volumes, 1):
        progress(f"Copying volumes: {number} of {len(volumes)}")
        archive.add_directory(f"volumes/{volume}", 0o700)
        allowance = shares.next()
        if not add_volume(archive, folder / volume, f"volumes/{volume}", scratch, kept, allowance):
            incomplete.append(str(volume))
        shares.give_back(allowance)
    return incomplete


def _copied(scratch: Path) -> Iterator[Path]:
    yield scratch / DATABASE
    if (scratch / KEY).exists():
        yield scratch / KEY
    yield from sorted((scratch / "vault").iterdir())


def _add_certificates(archive: ArchiveWriter, folder: Path, target: Path, scratch: Path, kept: Kept) -> None:
    """Their private keys stand in the clear in the data directory, and go nowhere else in the clear."""
    if folder.is_dir():
        archive.add_directory(TLS, 0o700)
        add_volume(archive, folder, TLS, scratch, kept, Shares(target, 1).next())


def _manifest(plan: Plan, facts: DatabaseSnapshot, archive: ArchiveWriter, kept: Kept) -> Manifest:
    return Manifest(
        platform_version=plan.platform_version,
        schema=facts.schema,
        database=facts.source,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        instances=len(facts.instances),
        members=archive.members,
        links=kept.links,
        left_out=tuple(kept.left_out),
        sparse=archive.sparse,
    )


@contextmanager
def _alone(data_dir: Path) -> Iterator[Path]:
    """A scratch directory inside the data directory, where everything lies in the clear already; one backup at a time."""
    run_dir = data_dir / "run"
    try:
        run_dir.mkdir(mode=0o700, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(locked(run_dir / "backup.lock", wait=False))
            for leftover in run_dir.glob(f"{SCRATCH}*/"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=SCRATCH, dir=run_dir)))
    except BlockingIOError:
        raise Conflict("Another backup of this data directory is being made; wait for it.") from None
    except FileNotFoundError:
        raise BackupFailed(f"{data_dir} is no data directory of a platform.") from None


def _say_nothing(_text: str) -> None:
    """The progress of scheduled backups interests nobody."""
