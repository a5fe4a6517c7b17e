"""Databases of earlier versions become those of this one, with what is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.store import migrate, open_store, tables
from openclaw_hosted.store.database import Database
from tests.support.life import NOW
from tests.support.postgres import PostgresServer

USER = "INSERT INTO users (id, email, role, created_at) VALUES ('us-a', 'a@example.com', 'user', 1)"
MACHINE = (
    "INSERT INTO machines (id, state, reserved_instance_id, volume_id, image, warmth, instance_id, created_at, state_changed_at) "
    "VALUES (:machine, :state, :id, :machine, 'v1', 'hot', :id, 1, 1)"
)
INSTANCE = (
    "INSERT INTO instances (id, owner_id, name, desired, phase, settings, generation, machine_id, volume_id, zone, created_at,"
    " phase_changed_at) VALUES (:id, 'us-a', 'n', 'running', :phase, :settings, 1, :machine, :volume, 'zone-1', 1, 1)"
)
STEP = "INSERT INTO steps (instance_id, name, generation, attempt, started_at, ended_at, error) VALUES (:id, 'volume', 1, 1, 1, 2, :error)"
SETTINGS = '{"provider": "echo", "model": "", "base_url": "", "channels": []}'


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """A database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/platform.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await server.new_database(migrated=False)
    yield url
    await server.drop_database(url)


async def add_instance(database: Database, name: str, phase: Phase, *, machine: str = "assigned", step: str | None = "none") -> InstanceId:
    """As version 0003 kept it; `step` is the error of its step `volume`, "none" where there was no such step."""
    about: dict[str, Any] = {"id": f"oc-{name}", "machine": f"mc-{name}", "volume": f"vol-{name}", "phase": phase, "state": machine}
    async with database.write() as connection:
        await connection.execute(text(MACHINE), about)
        await connection.execute(text(INSTANCE), {**about, "settings": SETTINGS})
        if step != "none":
            await connection.execute(text(STEP), {**about, "error": step})
    return InstanceId(f"oc-{name}")


async def test_a_volume_that_may_hold_data_is_known_to_be_made(empty_url: str) -> None:
    await migrate(empty_url, revision="0003")
    database = Database(empty_url)
    async with database.write() as connection:
        await connection.execute(text(USER))
    expected = {
        await add_instance(database, "runs", Phase.RUNNING): VolumeState.MADE,
        await add_instance(database, "made", Phase.PLACING, step=None): VolumeState.MADE,
        await add_instance(database, "failed", Phase.PLACING, step="no room"): VolumeState.WANTED,
        await add_instance(database, "new", Phase.PLACING): VolumeState.WANTED,
        await add_instance(database, "gone", Phase.PURGED, step=None): VolumeState.PURGED,
    }
    deserted = await add_instance(database, "deserted", Phase.RUNNING, machine="terminated")
    await database.close()
    store = await open_store(empty_url)
    for instance_id, state in expected.items():
        assert await store.instances.volume(instance_id) == Volume(instance_id, state, "zone-1")
    found = await store.instances.get(deserted)
    assert (found.phase, found.machine_id) == (Phase.REPLACING, None)
    assert len(await store.instances.steps(InstanceId("oc-made"))) == 1
    ((due, held),) = [each for each in await store.instances.lease_due(10, 60) if each[0].id == "oc-new"]
    assert (await store.instances.get(due.id)).created_at < NOW
    await store.instances.reschedule(held, 0, None)
    await store.aclose()


async def test_of_earlier_events_nobody_claims_to_know_who_caused_them(empty_url: str) -> None:
    await migrate(empty_url, revision="0004")
    database = Database(empty_url)
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO events (name, at, user_id) VALUES ('pool.paused', 1, 'us-a')"))
    await database.close()
    store = await open_store(empty_url)
    (event,) = await store.platform.events()
    assert (event.name, event.user_id, event.actor) == (EventName.POOL_PAUSED, "us-a", None)
    await store.aclose()


async def test_the_migrated_schema_is_that_of_the_tables(database_url: str) -> None:
    await migrate(database_url)
    database = Database(database_url)
    async with database.read() as connection:
        assert await connection.run_sync(_differences) == []
    await database.close()


def _differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), tables.metadata))
