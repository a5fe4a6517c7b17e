"""Refused keys, and who wants news by e-mail."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.key_refusal import KeyRefusal
from openclaw_hosted.domain.letters import Subscription
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.rows import ADD_EVENTS, event_values

_R, _S, _U = tables.key_refusals.c, tables.subscriptions.c, tables.users.c
_SUBSCRIBED = select(tables.subscriptions, _U.email).join(tables.users, _U.id == _S.user_id)


class SqlNews:
    """`NewsStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refusals(self) -> Mapping[InstanceId, KeyRefusal]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(tables.key_refusals))
            return {InstanceId(row.instance_id): KeyRefusal(InstanceId(row.instance_id), row.since, row.tokens) for row in rows}

    async def refuse(self, refusal: KeyRefusal, event: Event) -> None:
        values = {"instance_id": refusal.instance_id, "since": refusal.since, "tokens": refusal.tokens}
        await self._add(tables.key_refusals, values, event)

    async def forget(self, gone: Collection[InstanceId], events: Sequence[Event] = ()) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(tables.key_refusals).where(_R.instance_id.in_(sorted(gone))))
            if events:
                await connection.execute(ADD_EVENTS, [event_values(event) for event in events])

    async def subscription(self, user_id: UserId) -> Subscription | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_SUBSCRIBED.where(_S.user_id == user_id))).one_or_none()
        return None if row is None else _to_subscription(row)

    async def subscribe(self, user_id: UserId, now: float, event: Event) -> None:
        await self._add(tables.subscriptions, {"user_id": user_id, "since": now}, event)

    async def unsubscribe(self, user_id: UserId, event: Event) -> None:
        async with self._database.write() as connection:
            if (await connection.execute(delete(tables.subscriptions).where(_S.user_id == user_id))).rowcount:
                await connection.execute(ADD_EVENTS, event_values(event))

    async def subscriptions(self) -> Sequence[Subscription]:
        wanted = _SUBSCRIBED.where(_U.disabled.is_(False)).order_by(_S.last_at.is_not(None), _S.last_at, _S.user_id)
        async with self._database.read() as connection:
            return [_to_subscription(row) for row in await connection.execute(wanted)]

    async def told(self, user_id: UserId, marks: Sequence[str], now: float) -> None:
        values = {"told": json.dumps(list(marks)), "last_at": now}
        async with self._database.write() as connection:
            await connection.execute(update(tables.subscriptions).where(_S.user_id == user_id).values(values))

    async def _add(self, table: Any, values: Mapping[str, Any], event: Event) -> None:
        """Add a row, and tell it, unless there is one."""
        add = (sqlite_insert if self._database.is_sqlite else postgres_insert)(table).values(values).on_conflict_do_nothing()
        async with self._database.write() as connection:
            if (await connection.execute(add)).rowcount:
                await connection.execute(ADD_EVENTS, event_values(event))


def _to_subscription(row: Any) -> Subscription:
    return Subscription(UserId(row.user_id), row.email, row.since, row.last_at, tuple(json.loads(row.told)))
