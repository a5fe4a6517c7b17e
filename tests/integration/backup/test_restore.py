"""Backup and restore of a platform's rows, credentials and volumes by the command line, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tarfile
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from openclaw_hosted import datadir
from openclaw_hosted.adapters.local.backup.archive import unpack
from openclaw_hosted.adapters.local.sealing import LocalSealer
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.bootstrap.archives import back_up, restore_backup
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.errors import Conflict, StateConflict
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId, volume_of
from openclaw_hosted.ports.stores import Caps, NewInstance, NewMachine
from openclaw_hosted.settings import Settings, load_settings
from openclaw_hosted.store import Store, open_store, tables
from tests.integration.cli.conftest import Cli, cli, loops_of_its_own
from tests.support.actors import acting_as
from tests.support.life import become_ready
from tests.support.postgres import PostgresServer, postgres_server

__all__ = ["cli", "loops_of_its_own", "postgres_server"]
PASSPHRASE = "correct horse battery"
SECRET, SEALED, TOKEN = "sk-in-the-vault-0001", "sk-just-given-0002", "gateway-token-0003"
OWNER = UserId("us-owner")
KEPT, ORPHAN = InstanceId("oc-aaaaaaaa"), InstanceId("oc-bbbbbbbb")


WAYS = ("sqlite to postgres", "postgres to sqlite", "postgres to postgres")


@pytest.fixture(params=["sqlite to sqlite", *(pytest.param(way, marks=pytest.mark.postgres) for way in WAYS)])
async def urls(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str | None, str | None]]:
    """`DATABASE_URL` of the platform and of its restored copy."""
    source, _, target = request.param.partition(" to ")
    wanted = [(kind, request.getfixturevalue("postgres_server") if kind == "postgres" else None) for kind in (source, target)]
    made = [await server.new_database(migrated=number == 0) if server else None for number, (_, server) in enumerate(wanted)]
    yield made[0], made[1]
    for (_, server), url in zip(wanted, made, strict=True):
        if server and url:
            await server.drop_database(url)


def settings_of(data_dir: Path, url: str | None = None) -> Settings:
    return load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir, "DATABASE_URL": url})


async def a_platform(settings: Settings) -> Store:
    """An owner with an instance whose credentials are partly in the vault and partly sealed, a volume, and things of a spare."""
    data_dir = settings.data_dir
    datadir.prepare(data_dir)
    store = await open_store(settings.database_url)
    vault, volumes, sealer = LocalVault(data_dir), LocalVolumes(data_dir), LocalSealer(data_dir)
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), "hash", None)
    sealed = lambda instance_id: sealer.seal(SEALED.encode(), instance_id)  # noqa: E731
    await store.instances.create(
        NewInstance(OWNER, "Mine", DEFAULT_SETTINGS, frozenset(), KEPT, actor=acting_as(OWNER)), sealed, Caps(10, 10), None, 2.0
    )
    for instance_id in (KEPT, ORPHAN):
        await vault.put(instance_id, {Credential.GATEWAY_TOKEN: TOKEN, Credential.MODEL_API_KEY: SECRET}, 0)
        await volumes.create(volume_of(instance_id), "any")
        await volumes.mark(volume_of(instance_id), instance_id)
        (volumes.state_dir(volume_of(instance_id)) / "note.txt").write_text(instance_id)
    async with store.database.write() as connection:
        await connection.execute(insert(tables.events), [{"name": "backup.made", "at": float(number)} for number in range(1200)])
        await connection.execute(insert(tables.leases).values(name="pool", token="t", expires_at=4e9))
        await connection.execute(tables.instances.update().values(lease_token="t", lease_expires_at=4e9))
    return store


async def rows_of(store: Store) -> dict[str, list[tuple[object, ...]]]:
    async with store.database.read() as connection:
        return {
            table.name: sorted(tuple(row) for row in await connection.execute(select(table)))
            for table in tables.metadata.sorted_tables
            if table.name not in ("leases", "instances")
        }


async def instance_of(store: Store) -> Instance:
    return await store.instances.get(KEPT)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
async def test_rows_credentials_and_volumes_come_back(tmp_path: Path, urls: tuple[str | None, str | None], passphrase: str | None) -> None:
    before = settings_of(tmp_path / "before", urls[0])
    after = settings_of(tmp_path / "after", urls[1])
    store = await a_platform(before)
    made = await back_up(before, tmp_path / "b", passphrase, lambda _: None)
    manifest = await restore_backup(after, tmp_path / "b", passphrase, lambda _: None)
    restored = await open_store(after.database_url)
    try:
        assert (made.instances, manifest.instances, manifest.schema) == (1, 1, await store.platform.schema_version())
        assert await rows_of(restored) == await rows_of(store)
        assert await instance_of(restored) == await instance_of(store)
        assert await restored.platform.acquire("pool", "another", 60.0) is not None
        await restored.platform.add_event((await store.platform.events(limit=1))[0])
        assert (await restored.platform.events(limit=1))[0].id == 1202
        await add_spare(restored)
        assert [instance.id for instance, _ in await restored.instances.lease_due(10, 60.0)] == [KEPT]
        sealed = await restored.instances.sealed_credentials(KEPT)
    finally:
        await restored.aclose()
        await store.aclose()
    assert sealed is not None
    assert LocalSealer(after.data_dir).unseal(sealed[1], KEPT) == SEALED.encode()
    vault, volumes = LocalVault(after.data_dir), LocalVolumes(after.data_dir)
    assert (await vault.get(KEPT))[Credential.GATEWAY_TOKEN] == TOKEN
    assert await vault.list() == [KEPT]
    assert [(volume.instance_id, volume.attached_to) for volume in await volumes.list()] == [(KEPT, None)]
    assert (volumes.state_dir(volume_of(KEPT)) / "note.txt").read_text() == KEPT
    assert not list(tmp_path.glob(".*"))
    assert not list((before.data_dir / "run").glob("backup-*"))


async def add_spare(store: Store) -> None:
    """A machine that what waits for one can have."""
    new = NewMachine(MachineId("mc-spare"), InstanceId("oc-bbbbbbbb"), VolumeId("vol-spare"), "v1", Warmth.HOT)
    await store.machines.add([new], 10, 3.0)
    ((_, held),) = await store.machines.lease_due(10, 60.0)
    await become_ready(store, held, 3.0)


async def test_no_credential_stands_in_an_archive_in_the_clear(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    await (await a_platform(settings)).aclose()
    (settings.data_dir / "tls").mkdir()
    (settings.data_dir / "tls" / "root.key").write_text("private")
    await back_up(settings, tmp_path / "clear", None, lambda _: None)
    await back_up(settings, tmp_path / "encrypted", PASSPHRASE, lambda _: None)
    with tarfile.open(tmp_path / "clear") as tar:
        names = tar.getnames()
        content = b"".join(file.read() for member in tar if (file := tar.extractfile(member)))
    for secret in (SECRET, SEALED, TOKEN):
        assert secret.encode() not in content
    assert "tls/root.key" not in names
    (tmp_path / "out").mkdir()
    assert "tls/root.key" in unpack(tmp_path / "encrypted", PASSPHRASE, tmp_path / "out", lambda _: None).members


async def test_a_backup_made_while_rows_and_credentials_change_fits_together(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store = await a_platform(settings)
    vault, stop = LocalVault(settings.data_dir), asyncio.Event()

    async def change() -> None:
        """As the platform does: the row first, then the vault."""
        revision = 0
        while not stop.is_set():
            revision += 1
            async with store.database.write() as connection:
                await connection.execute(tables.instances.update().values(revision=revision))
            await vault.put(KEPT, {Credential.GATEWAY_TOKEN: TOKEN, Credential.MODEL_API_KEY: f"key-{revision}"}, revision)

    changing = asyncio.create_task(change())
    try:
        for number in range(5):
            await back_up(settings, tmp_path / f"b{number}", None, lambda _: None)
    finally:
        stop.set()
        await changing
        await store.aclose()
    for number in range(5):
        out = tmp_path / f"out{number}"
        await restore_backup(settings_of(out), tmp_path / f"b{number}", None, lambda _: None)
        revision = json.loads((out / "vault" / f"{KEPT}.json").read_text())["header"]["revision"]
        with closing(sqlite3.connect(out / "platform.sqlite")) as database:
            (row,) = database.execute("SELECT revision FROM instances").fetchone()
        assert row - revision in (0, 1)


async def test_two_backups_at_once_are_one_too_many(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    await (await a_platform(settings)).aclose()
    done = await asyncio.gather(*(back_up(settings, tmp_path / f"b{n}", None, lambda _: None) for n in range(2)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in done) == ["Backup", "Conflict"]


async def test_a_cancelled_backup_leaves_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    await (await a_platform(settings)).aclose()
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin(_: str) -> None:
        loop.call_soon_threadsafe(began.set)

    making = asyncio.create_task(back_up(settings, tmp_path / "b", None, begin))
    await began.wait()
    making.cancel()
    assert isinstance((await asyncio.gather(making, return_exceptions=True))[0], asyncio.CancelledError)
    assert {path.name for path in tmp_path.iterdir()} == {"data"}
    assert not list((settings.data_dir / "run").glob("backup-*"))


@pytest.mark.postgres
async def test_a_database_that_is_in_use_is_not_restored_over(tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = await postgres_server.new_database()
    settings = settings_of(tmp_path / "data")
    await (await a_platform(settings)).aclose()
    await back_up(settings, tmp_path / "b", None, lambda _: None)
    other = settings_of(tmp_path / "other", url)
    store = await a_platform(other)
    try:
        rows = await rows_of(store)
        with pytest.raises(StateConflict, match="not empty"):
            await restore_backup(settings_of(tmp_path / "after", url), tmp_path / "b", None, lambda _: None)
        assert await rows_of(store) == rows
    finally:
        await store.aclose()
    assert not (tmp_path / "after").exists()
    await postgres_server.drop_database(url)


@pytest.mark.postgres
async def test_where_the_directory_can_not_be_put_in_place_no_row_stays(tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = await postgres_server.new_database()
    settings = settings_of(tmp_path / "data")
    await (await a_platform(settings)).aclose()
    await back_up(settings, tmp_path / "b", None, lambda _: None)
    after = settings_of(tmp_path / "after", url)

    def too_late(text: str) -> None:
        if text == "Preparing the database":
            (tmp_path / "after").mkdir()
            (tmp_path / "after" / "file").write_text("in the way")

    with pytest.raises(Conflict, match="can't be put in place"):
        await restore_backup(after, tmp_path / "b", None, too_late)
    (tmp_path / "after" / "file").unlink()
    await restore_backup(after, tmp_path / "b", None, lambda _: None)
    await postgres_server.drop_database(url)
    assert not list(tmp_path.glob(".*"))


def prepared(data_dir: Path) -> None:
    async def make() -> None:
        await (await a_platform(settings_of(data_dir))).aclose()

    asyncio.run(make())


def test_the_commands_say_what_they_did_and_what_to_guard(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(cli.data_dir)
    clear = cli("backup", str(tmp_path / "clear"))
    assert clear.code == 0, clear.stderr
    assert "NOT encrypted" in clear.stdout
    assert "not encrypted and holds the key" in clear.stderr
    (tmp_path / "pass").write_text(PASSPHRASE + "\n")
    made = cli("backup", str(tmp_path / "b"), "--passphrase-file", str(tmp_path / "pass"), "--json")
    assert (made.json["encrypted"], made.json["instances"]) == (True, 1)
    assert "holds the key" not in made.stderr
    again = cli("backup", str(tmp_path / "b"))
    assert (again.code, "exists already" in again.stderr) == (5, True)
    target = str(tmp_path / "new")
    refused = cli.bare("restore", str(tmp_path / "b"), "--data-dir", target)
    assert (refused.code, "--passphrase-file" in refused.stderr) == (1, True)
    monkeypatch.setenv("BACKUP_PASSPHRASE", "another horse battery")
    wrong = cli.bare("restore", str(tmp_path / "b"), "--data-dir", target)
    assert (wrong.code, "passphrase is another one" in wrong.stderr) == (1, True)
    assert not Path(target).exists()
    monkeypatch.setenv("BACKUP_PASSPHRASE", PASSPHRASE)
    restored = cli.bare("restore", str(tmp_path / "b"), "--data-dir", target, "--json")
    assert restored.json["instances"] == 1, restored.stderr
    assert cli.bare("instances", "list", "--data-dir", target, "--json").json["items"][0]["id"] == KEPT
    for ran in (clear, made, again, refused, wrong, restored):
        assert PASSPHRASE not in ran.stdout + ran.stderr


def test_nothing_is_restored_over_data_or_under_a_platform(cli: Cli, tmp_path: Path) -> None:
    prepared(cli.data_dir)
    assert cli("backup", str(tmp_path / "b")).code == 0
    over = cli("restore", str(tmp_path / "b"))
    assert (over.code, "not empty" in over.stderr) == (5, True)
    with datadir.held(cli.data_dir, tuple(datadir.Role)):
        under = cli("restore", str(tmp_path / "b"))
    assert (under.code, "A platform runs on" in under.stderr) == (5, True)
    (tmp_path / "file").write_text("x")
    assert cli.bare("restore", str(tmp_path / "b"), "--data-dir", str(tmp_path / "file")).code == 5
    (tmp_path / "empty").mkdir()
    assert cli.bare("restore", str(tmp_path / "b"), "--data-dir", str(tmp_path / "empty")).code == 0


def test_a_backup_of_a_later_schema_is_refused(cli: Cli, tmp_path: Path) -> None:
    prepared(cli.data_dir)
    with closing(sqlite3.connect(cli.data_dir / "platform.sqlite")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    assert cli("backup", str(tmp_path / "b")).code == 0
    refused = cli.bare("restore", str(tmp_path / "b"), "--data-dir", str(tmp_path / "new"))
    assert (refused.code, "newer version" in refused.stderr) == (5, True)
    assert {path.name for path in tmp_path.iterdir()} == {"b", cli.data_dir.name}


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"BACKUP_PASSPHRASE": "short"}, "BACKUP_PASSPHRASE: use a passphrase of at least"),
        ({"BACKUP_PASSPHRASE_FILE": "/does/not/exist"}, "BACKUP_PASSPHRASE_FILE: /does/not/exist can't be read"),
        ({"BACKUP_PASSPHRASE": "x" * 20, "BACKUP_PASSPHRASE_FILE": "/y"}, "both set"),
        ({"BACKUP_EVERY_HOURS": "daily"}, "BACKUP_EVERY_HOURS"),
        ({"BACKUP_KEEP": "0"}, "BACKUP_KEEP"),
    ],
)
def test_a_wrong_setting_of_backups_is_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    refused = cli("backup", str(tmp_path / "b"))
    assert (refused.code, reason in refused.stderr) == (2, True), refused.stderr


def test_no_data_directory_no_backup(cli: Cli, tmp_path: Path) -> None:
    refused = cli("backup", str(tmp_path / "b"))
    assert (refused.code, "no data directory" in refused.stderr) == (1, True), refused.stderr
