"""A database that takes no writes: it is said why, reading goes on, and so does writing once it can."""

from __future__ import annotations

import asyncpg
import pytest

from openclaw_hosted.domain.errors import NoRoom, TakesNoWrites, Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.store import Store, open_store
from tests.contract.store.make import an_event

LONG = "x" * 5_000
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)


@on_sqlite
async def test_a_full_disk_is_named_and_writing_goes_on_once_there_is_room(store: Store) -> None:
    await let_grow_to(store, pages=1)
    with pytest.raises(NoRoom, match="disk"):
        await write_much(store)
    await store.ping()
    await let_grow_to(store, pages=1_000_000)
    await write_much(store)
    await store.check_writing()


async def write_much(store: Store) -> None:
    for _ in range(100):
        await store.platform.add_event(an_event(EventName.INSTANCE_FAILED, detail={"error": LONG}))


async def let_grow_to(store: Store, pages: int) -> None:
    """Let the database have so many pages, or as many as it has."""
    async with store.database.write() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


@on_postgres
async def test_postgres_says_that_its_disk_is_full(store: Store) -> None:
    with pytest.raises(NoRoom):
        async with store.database.write() as connection:
            await connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$")
    await store.check_writing()


@on_postgres
async def test_a_database_that_is_read_only_answers_and_does_not_pass_for_writable(store: Store) -> None:
    url = store.database.url
    await set_read_only(url, read_only=True)
    late = await open_store(url, upgrade=False)
    try:
        await late.ping()
        with pytest.raises(TakesNoWrites):
            await late.check_writing()
        with pytest.raises(Unavailable):
            await late.platform.add_event(an_event())
    finally:
        await late.aclose()
        await set_read_only(url, read_only=False)


async def set_read_only(url: str, *, read_only: bool) -> None:
    """What connections from now on may do, as after a switch to a standby."""
    connection = await asyncpg.connect(url, server_settings={"default_transaction_read_only": "off"})
    try:
        await connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = {read_only}")
    finally:
        await connection.close()
