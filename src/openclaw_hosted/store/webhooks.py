"""Rows of webhooks, and of what came of telling them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, insert, or_, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.errors import LimitReached, NotFound, Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.webhook import DELIVERIES_KEPT, Delivery, Receipt, Webhook, WebhookId
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import ACCOUNT_LOCK, Database
from openclaw_hosted.store.rows import ADD_EVENTS, event_values, to_event
from openclaw_hosted.store.work import WorkTable

_W = tables.webhooks.c
_D = tables.deliveries.c
_E = tables.events.c
_I = tables.instances.c
_U = tables.users.c
_NEWEST_EVENT = select(func.coalesce(func.max(_E.id), 0))
LOCK_TIMEOUT_SQLSTATE = "55P03"
LOCK_MILLISECONDS = 2000


def _has_work() -> ColumnElement[bool]:
    may = select(_U.id).where(_U.id == _W.owner_id, _U.disabled.is_(False), or_(_W.all_instances.is_(False), _U.role == Role.ADMIN))
    of_anybody = select(_E.id).where(_E.id > _W.cursor, _E.instance_id.is_not(None))
    of_owner = select(_E.id).join(tables.instances, _I.id == _E.instance_id).where(_I.owner_id == _W.owner_id, _E.id > _W.cursor)
    happened = or_(and_(_W.all_instances.is_(True), of_anybody.exists()), and_(_W.all_instances.is_(False), of_owner.exists()))
    return and_(_W.disabled_at.is_(None), may.exists(), happened)


class SqlWebhooks:
    """`WebhookStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._work = WorkTable(database, tables.webhooks, _has_work())
        self.renew = self._work.renew

    async def add(self, webhook: Webhook, sealed_secret: bytes, most: int, event: Event) -> Webhook:
        own = select(func.count()).select_from(tables.webhooks).where(_W.owner_id == webhook.owner_id)
        async with self._database.write() as connection:
            await self._database.lock(connection, ACCOUNT_LOCK)
            if (await connection.execute(own)).scalar_one() >= most:
                raise LimitReached(f"You may have {most} webhooks at most. Delete one that you no longer need.")
            values = {
                "id": webhook.id, "owner_id": webhook.owner_id, "url": webhook.url, "names": json.dumps(sorted(webhook.names)),
                "all_instances": webhook.all_instances, "sealed_secret": sealed_secret, "created_at": webhook.created_at,
                "cursor": (await connection.execute(_NEWEST_EVENT)).scalar_one(),
            }  # fmt: skip
            row = (await connection.execute(insert(tables.webhooks).values(values).returning(*_W))).one()
            await connection.execute(ADD_EVENTS, event_values(event))
        return _to_webhook(row)

    async def get(self, webhook_id: WebhookId) -> Webhook:
        async with self._database.read() as connection:
            return _to_webhook(await _row(connection, select(tables.webhooks).where(_W.id == webhook_id)))

    async def sealed_secret(self, webhook_id: WebhookId) -> bytes:
        async with self._database.read() as connection:
            return bytes((await _row(connection, select(_W.sealed_secret).where(_W.id == webhook_id))).sealed_secret)

    async def list_of(self, owner_id: UserId) -> Sequence[Webhook]:
        own = select(tables.webhooks).where(_W.owner_id == owner_id).order_by(_W.created_at, _W.id)
        async with self._database.read() as connection:
            return [_to_webhook(row) for row in await connection.execute(own)]

    async def remove(self, webhook_id: WebhookId, event: Event) -> None:
        async with self._database.write() as connection:
            await _row(connection, select(_W.id).where(_W.id == webhook_id).with_for_update())
            await connection.execute(delete(tables.deliveries).where(_D.webhook_id == webhook_id))
            await connection.execute(delete(tables.webhooks).where(_W.id == webhook_id))
            await connection.execute(ADD_EVENTS, event_values(event))

    async def enable(self, webhook_id: WebhookId, event: Event) -> Webhook:
        async with self._database.write() as connection:
            newest = (await connection.execute(_NEWEST_EVENT)).scalar_one()
            on = {"disabled_at": None, "failing_since": None, "attempts": 0, "lease_token": None, "next_attempt_at": 0.0, "cursor": newest}
            row = await _row(connection, update(tables.webhooks).where(_W.id == webhook_id).values(on).returning(*_W))
            await connection.execute(ADD_EVENTS, event_values(event))
        return _to_webhook(row)

    async def deliveries(self, webhook_id: WebhookId, limit: int) -> Sequence[Delivery]:
        newest = select(tables.deliveries).where(_D.webhook_id == webhook_id).order_by(_D.id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [_to_delivery(row) for row in await connection.execute(newest)]

    async def record(self, webhook_id: WebhookId, delivery: Delivery) -> None:
        async with self._database.write() as connection:
            there = select(_W.id).where(_W.id == webhook_id).with_for_update()
            if (await connection.execute(there)).one_or_none() is not None:
                await _keep(connection, webhook_id, delivery)

    async def pending(self, webhook: Webhook, limit: int) -> tuple[Sequence[Event], int]:
        until = await self._settled()
        wanted = select(tables.events).where(_E.id > webhook.cursor, _E.id <= until).order_by(_E.id).limit(limit)
        if webhook.all_instances:
            wanted = wanted.where(_E.instance_id.is_not(None))
        else:
            wanted = wanted.where(_E.instance_id.in_(select(_I.id).where(_I.owner_id == webhook.owner_id)))
        if webhook.names:
            wanted = wanted.where(_E.name.in_(sorted(webhook.names)))
        async with self._database.read() as connection:
            found = [to_event(row) for row in await connection.execute(wanted)]
        return found, until if len(found) < limit else found[-1].id or until

    async def advance(self, lease: Lease, cursor: int) -> None:
        await self._change(lease, cursor=cursor)

    async def delivered(self, lease: Lease, cursor: int, delivery: Delivery) -> None:
        await self._change(lease, delivery, cursor=cursor, attempts=0, failing_since=None, last_error=None)

    async def failed(self, lease: Lease, webhook: Webhook, delivery: Delivery, pause_seconds: float, events: Collection[Event]) -> None:
        values = {
            "attempts": webhook.attempts, "failing_since": webhook.failing_since, "disabled_at": webhook.disabled_at,
            "last_error": webhook.last_error, "lease_token": None, "next_attempt_at": self._database.now + pause_seconds,
        }  # fmt: skip
        await self._change(lease, delivery, events, **values)

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Webhook, Lease]]:
        async with self._database.write() as connection:
            return [(_to_webhook(row), lease) for row, lease in await self._work.lease_due(connection, limit, seconds)]

    async def reschedule(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        await self._work.reschedule(lease, seconds, error, counts=counts)

    async def _change(self, lease: Lease, delivery: Delivery | None = None, events: Collection[Event] = (), **values: Any) -> None:
        async with self._database.write() as connection:
            await self._work.held(connection, lease)
            await connection.execute(update(tables.webhooks).where(_W.id == lease.key).values(values))
            if delivery is not None:
                await _keep(connection, WebhookId(lease.key), delivery)
            if events:
                await connection.execute(ADD_EVENTS, [event_values(event) for event in events])

    async def _settled(self) -> int:
        """The newest event's id, once nobody is about to write one with a lower id.

        SQLite has one writer. Postgres gives ids out before their rows are committed: the lock waits for those who are writing events, and
        is held for as long as it takes to read a number.
        """
        if self._database.is_sqlite:
            async with self._database.read() as connection:
                return int((await connection.execute(_NEWEST_EVENT)).scalar_one())
        try:
            async with self._database.write() as connection:
                await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}"))
                await connection.execute(text("LOCK TABLE events IN SHARE MODE"))
                return int((await connection.execute(_NEWEST_EVENT)).scalar_one())
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == LOCK_TIMEOUT_SQLSTATE:
                raise Unavailable("Events are being written all the time; they are looked at again soon.") from error
            raise


async def _row(connection: AsyncConnection, statement: Any) -> Row[Any]:
    row: Row[Any] | None = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise NotFound("There is no such webhook. List yours: openclaw-hosted webhooks list")
    return row


async def _keep(connection: AsyncConnection, webhook_id: WebhookId, delivery: Delivery) -> None:
    receipt = delivery.receipt
    values = {
        "webhook_id": webhook_id, "message_id": delivery.message_id, "event_id": delivery.event_id, "type": delivery.type,
        "at": delivery.at, "attempt": delivery.attempt, "status": receipt.status, "seconds": receipt.seconds, "error": receipt.error,
    }  # fmt: skip
    await connection.execute(insert(tables.deliveries).values(values))
    own: Select[Any] = select(_D.id).where(_D.webhook_id == webhook_id).order_by(_D.id.desc()).offset(DELIVERIES_KEPT).limit(1)
    oldest = (await connection.execute(own)).scalar_one_or_none()
    if oldest is not None:
        await connection.execute(delete(tables.deliveries).where(_D.webhook_id == webhook_id, _D.id <= oldest))


def _to_webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        WebhookId(row.id), UserId(row.owner_id), row.url, row.created_at, frozenset(EventName(name) for name in json.loads(row.names)),
        bool(row.all_instances), row.cursor, row.failing_since, row.disabled_at, row.attempts, row.last_error,
    )  # fmt: skip


def _to_delivery(row: Row[Any]) -> Delivery:
    return Delivery(row.message_id, row.event_id, row.type, row.at, row.attempt, Receipt(row.status, row.seconds, row.error))
