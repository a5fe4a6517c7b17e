"""Scheduled backups: made when due, the newest few kept, failures told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.local.backup.backups import name_of
from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.bootstrap.archives import check_backups, scheduled_backups
from openclaw_hosted.bootstrap.doctor.computer import Verdict
from openclaw_hosted.controllers import ControllerOptions, ControlLoops, Ports
from openclaw_hosted.controllers.backup import BackupController
from openclaw_hosted.datadir import as_started, prepare, remember
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.backups import Backup, BackupHistory, Backups
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.settings import Settings, load_settings
from openclaw_hosted.store import Store
from tests.support.clock import LoopClock
from tests.support.store import new_store
from tests.support.waiting import PATIENCE_SECONDS, until

OPTIONS = ControllerOptions(policy=PoolPolicy(spares=0), scan_seconds=0.05, poll_seconds=0.02, lease_seconds=0.6, backup_seconds=0.2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    given = load_settings({"OPENCLAW_HOSTED_DATA_DIR": tmp_path / "data", "BACKUP_EVERY_HOURS": 24, "BACKUP_KEEP": 2})
    prepare(given.data_dir)
    return given


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    opened = await new_store(settings.data_dir / "platform.sqlite")
    assert opened.database.url == settings.database_url
    yield opened
    await opened.aclose()


def ports_of(store: Store, backups: Backups | None, clock: Clock) -> Ports:
    cloud = FakeCloud(clock)
    return Ports(
        FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), FakeSealer(), FakeRouter(cloud), FakeGate(cloud),
        FakeVolumes(cloud), KeptMeter(), clock, SystemIds(),
        store.machines, store.instances, store.accounts, store.platform, FakeRestorePoints(cloud),
            store.restore_points, store.hints,
        backups,
    )  # fmt: skip


@asynccontextmanager
async def looping(
    store: Store, backups: Backups | None, options: ControllerOptions = OPTIONS, clock: Clock | None = None
) -> AsyncIterator[None]:
    task = asyncio.create_task(ControlLoops(ports_of(store, backups, clock or SystemClock()), options).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def names_of(store: Store) -> list[EventName]:
    return [event.name for event in await store.platform.events() if event.name.startswith("backup.")]


async def test_backups_are_made_when_due_and_the_newest_kept(settings: Settings, store: Store) -> None:
    folder = settings.data_dir / "backups"
    folder.mkdir()
    (folder / name_of(0.0)).write_bytes(b"the oldest")
    (folder / f".{name_of(1.0)}.1.part").write_bytes(b"left by a kill")
    (folder / "notes.txt").write_text("not ours")
    async with looping(store, scheduled_backups(settings), replace(OPTIONS, backup_seconds=1.2)):
        await until(lambda: (folder / name_of(0.0)).exists() is False, 20)
    found = sorted(path.name for path in folder.iterdir())
    assert len(found) == 3
    assert "notes.txt" in found
    assert set(await names_of(store)) == {EventName.BACKUP_MADE}
    (event, *_) = await store.platform.events(limit=1)
    assert event.detail["left_out"] == 0
    assert Path(str(event.detail["file"])).is_file()


async def test_what_was_made_lately_is_not_made_again(settings: Settings, store: Store) -> None:
    backups = scheduled_backups(settings)
    assert backups is not None
    controller = BackupController(ports_of(store, backups, SystemClock()), backups, replace(OPTIONS, backup_seconds=3600.0))
    assert await controller.tick() == OPTIONS.poll_seconds
    pauses: list[float] = []

    async def ended() -> bool:
        pauses.append(await controller.tick())
        return pauses[-1] != OPTIONS.poll_seconds

    await until(ended)
    assert 3500 < pauses[-1] <= 3600
    again = BackupController(ports_of(store, backups, SystemClock()), backups, replace(OPTIONS, backup_seconds=3600.0))
    assert 3500 < await again.tick() <= 3600
    assert len(list((settings.data_dir / "backups").iterdir())) == 1


async def test_a_failure_is_an_event_and_a_finding_and_tried_again(settings: Settings, store: Store) -> None:
    (settings.data_dir / "backups").write_text("in the way")
    options = replace(OPTIONS, backup_seconds=3600.0, backup_retry_seconds=0.05)
    async with looping(store, scheduled_backups(settings), options):

        async def failed() -> bool:
            return EventName.BACKUP_FAILED in await names_of(store)

        await until(failed)
        finding = check_backups(settings)
        assert (finding.verdict, "BACKUP_DIR" in finding.message) == (Verdict.PROBLEM, True)
        (settings.data_dir / "backups").unlink()

        async def made() -> bool:
            return EventName.BACKUP_MADE in await names_of(store)

        await until(made)
    assert check_backups(settings).verdict is Verdict.OK


@pytest.mark.looptime
async def test_one_that_takes_longer_than_a_lease_is_waited_for_and_made_once(settings: Settings) -> None:
    clock = LoopClock()

    class Slow:
        made = 0

        def __init__(self, inner: Backups) -> None:
            self.prune, self.history, self.record = inner.prune, inner.history, inner.record
            self._inner = inner

        async def make(self) -> Backup:
            type(self).made += 1
            await clock.sleep(3 * OPTIONS.lease_seconds)
            return await self._inner.make()

    inner = scheduled_backups(settings)
    assert inner is not None
    options = replace(OPTIONS, backup_seconds=3600.0)
    async with (
        aclosing(await new_store(settings.data_dir / "platform.sqlite", clock)) as store,
        looping(store, Slow(inner), options, clock),
        looping(store, Slow(inner), options, clock),
    ):

        async def made() -> bool:
            return EventName.BACKUP_MADE in await names_of(store)

        await until(made)
        await clock.sleep(2 * OPTIONS.lease_seconds)
    assert Slow.made == 1


async def test_stopping_the_loops_stops_a_backup(store: Store) -> None:
    class Endless:
        ended = asyncio.Event()
        began = asyncio.Event()

        async def make(self) -> Backup:
            self.began.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.set()
            raise AssertionError

        async def prune(self) -> list[str]:
            return []

        async def history(self) -> BackupHistory:
            return BackupHistory()

        async def record(self, history: BackupHistory) -> None:
            raise AssertionError(history)

    endless = Endless()
    async with looping(store, endless):
        await asyncio.wait_for(endless.began.wait(), PATIENCE_SECONDS)
    assert endless.ended.is_set()


def test_doctor_tells_of_backups(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def history(**body: object) -> None:
        (settings.data_dir / "backup.json").write_text(json.dumps(body))

    file, now = settings.data_dir / "b", time.time()
    file.write_bytes(b"")
    assert check_backups(settings.model_copy(update={"backup_every_hours": 0.0})).verdict is Verdict.WARNING
    assert check_backups(settings).verdict is Verdict.WARNING
    history(attempted_at=now, succeeded_at=now - 3600, path=str(file), error=None)
    assert check_backups(settings).verdict is Verdict.OK
    history(attempted_at=now, succeeded_at=now - 3 * 86_400, path=str(file), error=None)
    assert "does the platform run" in str(check_backups(settings).fix)
    history(attempted_at=now, succeeded_at=now - 3600, path=str(file), error="The disk is full.")
    assert (check_backups(settings).verdict, "The disk is full" in check_backups(settings).message) == (Verdict.PROBLEM, True)
    history(attempted_at=now, succeeded_at=now - 3600, path=str(file) + ".gone", error=None)
    assert check_backups(settings).verdict is Verdict.PROBLEM
    remember(settings)
    monkeypatch.delenv("BACKUP_EVERY_HOURS", raising=False)
    beside = as_started(load_settings({"OPENCLAW_HOSTED_DATA_DIR": settings.data_dir}))
    assert (beside.backup_every_hours, beside.backups_into) == (24, settings.backups_into)


def test_none_are_made_unless_asked_for(settings: Settings) -> None:
    assert scheduled_backups(settings.model_copy(update={"backup_every_hours": 0.0})) is None


async def test_a_volume_that_is_not_whole_in_the_last_backup_is_a_warning(settings: Settings) -> None:
    backups = scheduled_backups(settings)
    assert backups is not None
    now = SystemClock().now()
    await backups.record(BackupHistory(attempted_at=now, succeeded_at=now, incomplete=[f"vol-{number:02}" for number in range(12)]))
    finding = check_backups(settings)
    assert finding.verdict is Verdict.WARNING
    assert "vol-00" in finding.message
    assert "vol-09 and more" in finding.message
