"""`PlatformStore`, `Hints`, and the database below them."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from openclaw_hosted.domain.errors import LimitReached, StateConflict, Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Phase, Step, StepName
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.pool import Shortage
from openclaw_hosted.ports.stores import PRUNED_AT_ONCE, Caps, PoolMemory
from openclaw_hosted.store import Store, database, hints, migrate, open_store, tables
from openclaw_hosted.store.database import FLEET_LOCK, plain_url
from openclaw_hosted.store.migrate import newest_schema
from openclaw_hosted.store.rows import event_values
from tests.support.cancelling import cancelled_at
from tests.support.life import NOW, ask_restart
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.waiting import PATIENCE_SECONDS

from .make import MINUTE, OWNER, add_spares, create, deleted, heard, lease, new_machine, running


async def test_events_come_newest_first_filtered_and_in_pages(store: Store) -> None:
    a, b = InstanceId("oc-a"), InstanceId("oc-b")
    for number in range(6):
        detail: dict[str, str | int | float] = {"number": number, "share": 0.5, "why": "ü"}
        await store.platform.add_event(Event(EventName.INSTANCE_OPENED, NOW, a if number % 2 else b, MachineId("mc-a"), OWNER, detail))
    newest = await store.platform.events(instance_id=a, limit=2)
    assert [event.detail["number"] for event in newest] == [5, 3]
    assert [event.detail["number"] for event in await store.platform.events(instance_id=a, before_id=newest[-1].id)] == [1]
    assert len(await store.platform.events(machine_id=MachineId("mc-a"))) == 6
    assert newest[0].detail == {"number": 5, "share": 0.5, "why": "ü"}


async def test_a_named_lease_passes_on_when_it_runs_out_and_only_its_holder_gives_it_back(store: Store, replica: Store) -> None:
    expired = await store.platform.acquire("pool", "one", -1.0)
    assert expired is not None
    taken = await replica.platform.acquire("pool", "two", MINUTE)
    assert taken is not None
    assert await store.platform.acquire("pool", "one", MINUTE) is None
    await store.platform.release(expired)
    assert await store.platform.acquire("pool", "one", MINUTE) is None
    assert await store.platform.acquire("orphans", "one", MINUTE) is not None
    await replica.platform.release(taken)
    assert await store.platform.acquire("pool", "one", MINUTE) is not None


async def test_a_fresh_pool_remembers_nothing(store: Store) -> None:
    assert await store.platform.pool_memory() == PoolMemory()


async def test_failures_in_a_row_end_with_a_success(store: Store) -> None:
    assert [await store.platform.launch_failed(NOW + n, f"error {n}") for n in range(3)] == [1, 2, 3]
    memory = await store.platform.pool_memory()
    assert (memory.last_failure_at, memory.last_error) == (NOW + 2, "error 2")
    await store.platform.launch_succeeded()
    assert await store.platform.pool_memory() == PoolMemory()


async def test_a_hint_wakes_all_who_wait_for_its_topic_and_nobody_else(store: Store) -> None:
    other, *waiting = (asyncio.create_task(store.hints.wait(topic, PATIENCE_SECONDS)) for topic in ("placement", "pool", "pool"))
    await heard(store, "pool", *waiting)
    assert not other.done()
    await heard(store, "placement", other)
    assert [await task for task in (other, *waiting)] == [True, True, True]


async def test_a_hint_given_between_two_waits_is_heard(store: Store) -> None:
    assert not await store.hints.wait("pool", 0)
    await store.hints.hint("pool")
    assert await store.hints.wait("pool", 0)
    assert not await store.hints.wait("pool", 0)


@pytest.mark.postgres
async def test_hints_reach_other_replicas_again_after_connections_were_cut(
    postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "RECONNECT_SECONDS", 0.05)
    one, two = await open_store(postgres_url, upgrade=False), await open_store(postgres_url, upgrade=False)
    try:
        before, after = (asyncio.create_task(two.hints.wait(topic, PATIENCE_SECONDS)) for topic in ("pool", "placement"))
        await heard(one, "pool", before)
        await postgres_server.cut_connections()
        await heard(one, "placement", after)
        assert [await before, await after] == [True, True]
        await one.ping()
    finally:
        await one.aclose()
        await two.aclose()


@pytest.mark.postgres
async def test_without_its_database_the_store_is_unavailable_and_hints_go_on_within_the_process(postgres_url: str) -> None:
    assert postgres_url
    with running_postgres() as own_server:
        store = await open_store(await own_server.new_database())
        await store.ping()
    try:
        with pytest.raises(Unavailable):
            await store.ping()
        with pytest.raises(Unavailable):
            await store.platform.add_event(Event(EventName.POOL_PAUSED, NOW))
        await store.hints.wait("pool", 0)
        await store.hints.hint("pool")
        assert await store.hints.wait("pool", 0)
    finally:
        await store.aclose()


@pytest.mark.postgres
async def test_a_process_stopped_in_a_transaction_loses_its_locks_and_finds_its_transaction_undone(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OPEN_TRANSACTION_SECONDS", 0.5)
    stopped, other = await open_store(postgres_url), await open_store(postgres_url, upgrade=False)
    try:
        with pytest.raises(Unavailable):
            await _lock_while_another_is_idle_with_the_lock(stopped, other)
        await stopped.ping()
    finally:
        await stopped.aclose()
        await other.aclose()


async def _lock_while_another_is_idle_with_the_lock(idle: Store, other: Store) -> None:
    async with idle.database.write() as connection:
        await idle.database.lock(connection, FLEET_LOCK)
        async with asyncio.timeout(PATIENCE_SECONDS), other.database.write() as at_the_same_time:
            await other.database.lock(at_the_same_time, FLEET_LOCK)


@pytest.mark.postgres
async def test_words_of_both_libraries_for_encryption_are_understood(postgres_url: str) -> None:
    for suffix in ("?sslmode=prefer", "?ssl=prefer"):
        store = await open_store(postgres_url.replace("postgresql:", "postgresql+asyncpg:") + suffix)
        assert await store.platform.schema_version() == newest_schema()
        await store.aclose()


def test_an_address_keeps_its_password_and_loses_its_driver() -> None:
    assert plain_url("postgres://u:p%40ss@h:1/d?ssl=require") == "postgresql://u:p%40ss@h:1/d?sslmode=require"
    assert plain_url("sqlite+aiosqlite:////tmp/x.sqlite") == "sqlite:////tmp/x.sqlite"


async def test_an_empty_database_gets_the_newest_schema_once(database_url: str) -> None:
    await asyncio.gather(*(migrate(database_url) for _ in range(3)))
    store = await open_store(database_url)
    assert await store.platform.schema_version() == newest_schema()
    assert await store.platform.pool_memory() == PoolMemory()
    await store.aclose()


@pytest.mark.postgres
async def test_an_empty_postgres_is_migrated_by_many_at_once(postgres_server: PostgresServer) -> None:
    url = await postgres_server.new_database(migrated=False)
    await asyncio.gather(*(migrate(url) for _ in range(4)))
    store = await open_store(url, upgrade=False)
    assert await store.platform.schema_version() == newest_schema()
    await store.aclose()
    await postgres_server.drop_database(url)


async def test_a_refused_database_is_left_as_it_was(database_url: str) -> None:
    store = await open_store(database_url)
    async with store.database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StateConflict, match="schema 9999"):
        await open_store(database_url)
    assert await store.platform.schema_version() == "9999"
    await store.aclose()


async def test_a_shortage_is_counted_by_zone_and_is_no_failed_launch(store: Store, replica: Store) -> None:
    for number, plane in enumerate((store, replica, store)):
        await plane.platform.no_capacity("zone-1", NOW + number, f"error {number}")
    await store.platform.no_capacity("", NOW, "quota")
    memory = await replica.platform.pool_memory()
    assert memory.failures_in_row == 0
    assert memory.shortages == {"zone-1": Shortage("zone-1", 3, NOW + 2, "error 2"), "": Shortage("", 1, NOW, "quota")}
    await replica.platform.capacity_found("zone-1")
    assert set((await store.platform.pool_memory()).shortages) == {""}
    await store.platform.set_pool(paused=False)
    assert (await store.platform.pool_memory()).shortages == {}


async def test_history_is_pruned_and_what_is_still_needed_is_kept(store: Store) -> None:
    kept, gone = await running(store, "a"), await deleted(store, "b")
    held = await lease(store, await ask_restart(store, kept))
    await store.instances.record_steps(held, [Step(StepName.GATEWAY, 1, number, NOW + number) for number in range(6)])
    await store.platform.add_event(Event(EventName.POOL_PAUSED, NOW + 100))
    assert not await store.platform.prune(events_before=NOW + 50, machines_before=NOW + 50, steps_kept=4)
    assert [event.name for event in await store.platform.events()] == [EventName.POOL_PAUSED]
    assert [machine.id for machine in await store.machines.list_recent()] == ["mc-a"]
    assert [step.attempt for step in await store.instances.steps(kept.id)] == [2, 3, 4, 5]
    assert (await store.instances.get(gone.id)).phase is Phase.DELETED


async def test_no_more_is_pruned_at_once_than_a_transaction_may_take(store: Store) -> None:
    async with store.database.write() as connection:
        values = [event_values(Event(EventName.POOL_PAUSED, NOW)) for _ in range(PRUNED_AT_ONCE + 5)]
        await connection.execute(tables.events.insert(), values)
    assert await store.platform.prune(events_before=NOW + 1, machines_before=0, steps_kept=4)
    assert len(await store.platform.events(limit=100)) == 5


async def test_the_fleet_cap_holds_between_replicas(store: Store, replica: Store) -> None:
    batches = (
        each.machines.add([new_machine(f"{number}-{n}") for n in range(3)], 20, NOW) for number, each in enumerate((store, replica) * 8)
    )
    added = await asyncio.gather(*batches)
    assert sum(len(batch) for batch in added) == len(await store.machines.list_live()) == 20


async def test_replicas_claim_each_spare_once_and_keep_to_the_caps(store: Store, replica: Store) -> None:
    await add_spares(store, *(f"{number}" for number in range(10)))
    creates = (create(each, f"f{number}", caps=Caps(40, 100)) for number, each in enumerate((store, replica) * 25))
    outcomes = await asyncio.gather(*creates, return_exceptions=True)
    made = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)} == {LimitReached}
    assert (len(made), len({instance.machine_id for instance in made} - {None})) == (40, 10)
    bound = [machine for machine in await store.machines.list_live() if machine.state is MachineState.ASSIGNED]
    assert len({machine.instance_id for machine in bound}) == 10


async def test_replicas_never_lease_the_same_row(store: Store, replica: Store) -> None:
    await add_spares(store, *(f"m{number}" for number in range(40)))
    for number in range(40):
        await create(store, f"n{number}")
    batches = await asyncio.gather(*(each.instances.lease_due(3, MINUTE) for each in (store, replica) * 10))
    leased = [instance.id for batch in batches for instance, _ in batch]
    assert all(len(batch) <= 3 for batch in batches)
    assert len(leased) == len(set(leased))
    rest = await store.instances.lease_due(100, MINUTE)
    assert len(leased) + len(rest) == 40


async def test_writers_in_several_processes_are_never_told_that_sqlite_is_locked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/platform.sqlite"
    stores = [await open_store(url) for _ in range(4)]
    event = Event(EventName.POOL_PAUSED, NOW)
    await asyncio.gather(*(each.platform.add_event(event) for each in stores * 50), *(each.platform.events() for each in stores * 20))
    assert len(await stores[0].platform.events(limit=1000)) == 200
    for each in stores:
        await each.aclose()


async def test_writes_that_are_cancelled_at_any_point_leave_nothing_and_hold_nobody_up(store: Store, replica: Store) -> None:
    async with replica.database.write() as connection:
        await replica.database.lock(connection, FLEET_LOCK)
        for number in range(3):
            assert await cancelled_at(create(store, f"cancelled-in-the-queue-{number}"), number, answered=False)
    made_after = 0
    for answered in (False, True):
        for number in count():
            was_cancelled = await cancelled_at(create(store, f"cancelled-{answered}-{number}"), number, answered=answered)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await create(store, f"after-{answered}-{number}")
            made_after += 1
            if not was_cancelled:
                break
    made = await store.instances.list_all()
    assert sum(instance.id.startswith("oc-after-") for instance in made) == made_after
    assert len(await store.platform.events(limit=1000)) == len(made)
