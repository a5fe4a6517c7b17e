"""The simulated store beside SQLite and Postgres: the same operations on all of them, and what each answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.errors import OpenClawHostedError
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.store import tables
from openclaw_hosted.store.accounts import SqlAccounts
from openclaw_hosted.store.database import Database as SqlDatabase
from openclaw_hosted.store.instances import SqlInstances
from openclaw_hosted.store.machines import SqlMachines
from openclaw_hosted.store.platform import SqlPlatform
from simulation.store.database import Database, Duplicate
from simulation.store.instances import MemoryInstances
from simulation.store.machines import MemoryMachines
from simulation.store.platform import MemoryAccounts, MemoryPlatform

OWNERS = (UserId("us-one"), UserId("us-two"))


@dataclass(frozen=True)
class Stores:
    """The stores of one database."""

    machines: Any
    instances: Any
    accounts: Any
    platform: Any


def in_memory() -> Stores:
    """An empty simulated database, whose clock is this computer's, as those of the others are."""
    database = Database(time.time)
    return Stores(MemoryMachines(database), MemoryInstances(database), MemoryAccounts(database), MemoryPlatform(database))


def in_sql(database: SqlDatabase) -> Stores:
    """A real one."""
    return Stores(SqlMachines(database), SqlInstances(database), SqlAccounts(database), SqlPlatform(database))


async def empty(database: SqlDatabase) -> None:
    """Take all rows out of a real one."""
    async with database.write() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            await connection.execute(delete(table))
        await connection.execute(insert(tables.pool).values(id=1))


class SideBySide:
    """Does everything to all stores, and fails where they answer differently."""

    def __init__(self, runner: asyncio.Runner, stores: Sequence[Stores]) -> None:
        self._runner = runner
        self._stores = stores
        self.leases: list[tuple[Lease, ...]] = []
        self.do(lambda store, _: self._add_owners(store))

    @staticmethod
    async def _add_owners(store: Stores) -> None:
        for owner in OWNERS:
            await store.accounts.add_user(User(owner, f"{owner}@example.com", Role.USER, 1.0), None, None)

    def do(self, operation: Callable[[Stores, int], Awaitable[Any]]) -> Any:
        """What the first answers; all have to answer the same."""
        answers = [self._runner.run(_answer(operation(store, number))) for number, store in enumerate(self._stores)]
        first = answers[0]
        for other in answers[1:]:
            assert other == first
        return first

    def lease(self, operation: Callable[[Stores], Awaitable[Sequence[tuple[Any, Lease]]]]) -> None:
        """Lease rows; each is one more in `leases`."""
        found = [sorted(self._runner.run(_as_is(operation(store))), key=lambda pair: pair[1].key) for store in self._stores]
        rows = [[plain(row) for row, _ in pairs] for pairs in found]
        assert all(other == rows[0] for other in rows[1:])
        self.leases += list(zip(*([lease for _, lease in pairs] for pairs in found), strict=True))

    def compare(self) -> None:
        """All that can be read."""
        self.do(lambda store, _: _everything(store))


async def _as_is(work: Awaitable[Any]) -> Any:
    return await work


async def _answer(work: Awaitable[Any]) -> Any:
    try:
        return plain(await work)
    except (IntegrityError, Duplicate):
        return "refused: a row is there already"
    except OpenClawHostedError as error:
        return f"refused: {type(error).__name__}"


async def _everything(store: Stores) -> Any:
    listed = await store.instances.list_all()
    known = sorted(await store.instances.known_ids())
    return {
        "machines": await store.machines.list_recent(),
        "live": await store.machines.list_live(),
        "pooled": await store.machines.list_pooled(),
        "instances": listed,
        "of one": await store.instances.list_for(OWNERS[0]),
        "placed": await store.instances.list_placed(),
        "waiting": dict(sorted((await store.instances.count_waiting()).items())),
        "waits": await store.instances.recent_waits(9),
        "routed": sorted(await store.instances.routed_ids()),
        "known": known,
        "kept": dict(sorted((await store.instances.kept_phases()).items())),
        "steps": [await store.instances.steps(InstanceId(each)) for each in known],
        "sealed": [await store.instances.sealed_credentials(InstanceId(each)) for each in known],
        "events": await store.platform.events(limit=1000),
        "pool": await store.platform.pool_memory(),
    }


def plain(value: Any) -> Any:
    """A value without what depends on the moment, or on who made it: leases, numbers of events, when a row is due."""
    if isinstance(value, Lease):
        return value.key
    if isinstance(value, Event):
        return replace(value, id=None, detail=dict(value.detail))
    if isinstance(value, Instance):
        return replace(value, next_attempt_at=float(value.next_attempt_at > 0))
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    assert not is_dataclass(value) or fields(value)
    return value
