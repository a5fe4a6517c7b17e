"""What operators look at, found and sorted by the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.listing import EventSearch, InstanceSearch, MachineSearch, Order, Page, Position, UserSearch
from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.observation import Observation
from openclaw_hosted.ports.stores.console import CountedUser, OwnedInstance
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.instance_reads import LIVE, WAITING
from openclaw_hosted.store.rows import to_event, to_instance, to_machine, to_observation, to_user
from openclaw_hosted.store.words import one_of, word

_M, _I, _U, _E, _O = tables.machines.c, tables.instances.c, tables.users.c, tables.events.c, tables.observations.c
Made = TypeVar("Made")
Sorting = tuple[ColumnElement[Any], bool]
"""A column, and whether the largest comes first."""
_MACHINES: Mapping[Order, Sorting] = {
    Order.NEWEST: (_M.created_at, True), Order.OLDEST: (_M.created_at, False), Order.CHANGED: (_M.state_changed_at, True),
    Order.NAME: (_M.id, False),
}  # fmt: skip
_INSTANCES: Mapping[Order, Sorting] = {
    Order.NEWEST: (_I.created_at, True), Order.OLDEST: (_I.created_at, False), Order.CHANGED: (_I.phase_changed_at, True),
    Order.NAME: (_I.name, False),
}  # fmt: skip
_USERS: Mapping[Order, Sorting] = {
    Order.NEWEST: (_U.created_at, True), Order.OLDEST: (_U.created_at, False), Order.CHANGED: (_U.created_at, True),
    Order.NAME: (_U.email, False),
}  # fmt: skip
_OWNED = select(tables.instances, _U.email.label("owner_email")).join(tables.users, _U.id == _I.owner_id)


class SqlConsole:
    """`ConsoleStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def machines(self, search: MachineSearch, limit: int, after: str | None = None) -> Page[Machine]:
        found: list[ColumnElement[bool]] = [one_of(_M.state, search.states or LIVE_STATES)]
        if search.text:
            found.append(_has(search.text, _M.id, _M.instance_id, _M.provider_ref, _M.zone))
        return await self._page(select(tables.machines).where(*found), _MACHINES[search.order], _M.id, limit, after, to_machine)

    async def instances(self, search: InstanceSearch, limit: int, after: str | None = None) -> Page[OwnedInstance]:
        found = [one_of(_I.phase, search.phases) if search.phases else _I.phase != word(Phase.PURGED)]
        if search.owner is not None:
            found.append(_I.owner_id == search.owner)
        if search.text:
            found.append(_has(search.text, _I.id, _I.name, _U.email))
        return await self._page(_OWNED.where(*found), _INSTANCES[search.order], _I.id, limit, after, _to_owned)

    async def users(self, search: UserSearch, limit: int, after: str | None = None) -> Page[CountedUser]:
        found: list[ColumnElement[bool]] = [] if search.role is None else [_U.role == search.role]
        if search.text:
            found.append(_has(search.text, _U.email))
        page: Page[User] = await self._page(select(tables.users).where(*found), _USERS[search.order], _U.id, limit, after, to_user)
        owners = [user.id for user in page.items]
        counts = select(_I.owner_id, func.count()).where(_I.owner_id.in_(owners), LIVE).group_by(_I.owner_id)
        async with self._database.read() as connection:
            have = {owner: int(count) for owner, count in await connection.execute(counts)}
        return Page(tuple(CountedUser(user, have.get(user.id, 0)) for user in page.items), page.after, page.total)

    async def events(self, search: EventSearch, limit: int, after: str | None = None) -> Page[Event]:
        statement = select(tables.events).where(*_wanted(search)).order_by(_E.id.desc()).limit(limit + 1)
        if after is not None:
            statement = statement.where(_E.id < int(Position.decode(after).number))
        async with self._database.read() as connection:
            rows = list(await connection.execute(statement))
        shown = rows[:limit]
        return Page(tuple(to_event(row) for row in shown), Position(shown[-1].id, "").encode() if len(rows) > limit else None)

    async def emails(self, user_ids: Collection[str]) -> Mapping[str, str]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(_U.id, _U.email).where(_U.id.in_(sorted(user_ids))))
            return {row.id: row.email for row in rows}

    async def waiting(self, limit: int) -> Sequence[OwnedInstance]:
        return await self._owned(_OWNED.where(WAITING).order_by(_I.phase_changed_at, _I.id).limit(limit))

    async def failed(self, limit: int) -> Sequence[OwnedInstance]:
        return await self._owned(_OWNED.where(_I.phase == Phase.FAILED).order_by(_I.phase_changed_at.desc(), _I.id).limit(limit))

    async def observation(self, machine_id: MachineId) -> Observation | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(tables.observations).where(_O.machine_id == machine_id))).one_or_none()
            return None if row is None else to_observation(row)

    async def restarts(self, since: float) -> Mapping[MachineId, tuple[int, InstanceId | None]]:
        alive = one_of(_M.state, (MachineState.AVAILABLE, MachineState.ASSIGNED))
        statement = (
            select(_E.machine_id, func.count(), _M.instance_id)
            .join(tables.machines, _M.id == _E.machine_id)
            .where(_E.name == EventName.GATEWAY_RESTARTED, _E.at > since, alive)
            .group_by(_E.machine_id, _M.instance_id)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(statement)
            return {MachineId(row[0]): (int(row[1]), InstanceId(row[2]) if row[2] else None) for row in rows}

    async def newest(self, names: Collection[EventName]) -> Event | None:
        statement = select(tables.events).where(_E.name.in_(sorted(names))).order_by(_E.id.desc()).limit(1)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
            return None if row is None else to_event(row)

    async def _owned(self, statement: Select[Any]) -> Sequence[OwnedInstance]:
        async with self._database.read() as connection:
            return [_to_owned(row) for row in await connection.execute(statement)]

    async def _page(
        self,
        found: Select[Any],
        sorting: Sorting,
        key: ColumnElement[str],
        limit: int,
        after: str | None,
        make: Callable[[Row[Any]], Made],
    ) -> Page[Made]:
        column, descending = sorting
        statement = found.add_columns(column.label("sorted_by")).order_by(column.desc() if descending else column, key).limit(limit + 1)
        if after is not None:
            last = Position.decode(after)
            value = str(last.value) if column.type.python_type is str else last.number
            beyond = column < value if descending else column > value
            statement = statement.where(or_(beyond, and_(column == value, key > last.id)))
        count = found.with_only_columns(func.count(), maintain_column_froms=True)
        async with self._database.read() as connection:
            rows = list(await connection.execute(statement))
            total = int((await connection.execute(count)).scalar_one())
        shown = rows[:limit]
        more = Position(shown[-1].sorted_by, shown[-1].id).encode() if len(rows) > limit else None
        return Page(tuple(make(row) for row in shown), more, total)


def _has(text: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    return or_(*(func.lower(column).contains(text.lower(), autoescape=True) for column in columns))


def _wanted(search: EventSearch) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if search.names:
        wanted.append(_E.name.in_(sorted(search.names)))
    if search.instance_id is not None:
        wanted.append(_E.instance_id == search.instance_id)
    if search.machine_id is not None:
        wanted.append(_E.machine_id == search.machine_id)
    if search.user_id is not None:
        wanted.append(or_(_E.user_id == search.user_id, and_(_E.actor_id == search.user_id, _E.actor_role.is_not(None))))
    if search.since is not None:
        wanted.append(_E.at >= search.since)
    if search.until is not None:
        wanted.append(_E.at < search.until)
    return wanted


def _to_owned(row: Row[Any]) -> OwnedInstance:
    return OwnedInstance(to_instance(row), row.owner_email)
