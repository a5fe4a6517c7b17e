"""Rows as work items: leased, renewed, put off, guarded by the lease's token."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Executable, Float, Integer, Row, Table, Text, and_, bindparam, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.errors import LeaseLost
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.store.database import Database

LONGEST_PAUSE_SECONDS = 600.0
"""Nothing is put off for longer."""
CLOCK_SLACK_SECONDS = 60.0


class WorkTable:
    """The lease columns of one table, whose rows have work where `has_work` holds.

    The statements are put together once: that would cost more than what the database does with them.
    """

    def __init__(self, database: Database, table: Table, has_work: ColumnElement[bool]) -> None:
        self._database = database
        now, seconds = database.now, bindparam("seconds", type_=Float)
        columns = table.c
        held = and_(
            columns.id == bindparam("held_key", type_=Text),
            columns.lease_token == bindparam("held_token", type_=Text),
            columns.lease_expires_at > now,
        )
        self._lease = _lease_due(table, has_work, now, seconds)
        self._held = select(table).where(held).with_for_update()
        change = update(table).where(held).returning(*columns)
        mine = tuple_(columns.id, columns.lease_token).in_(bindparam("held", expanding=True))
        kept = update(table).where(mine, columns.lease_expires_at > now).returning(columns.id)
        self._renew = kept.values(lease_expires_at=now + seconds)
        self._reschedule = change.values(lease_token=None, next_attempt_at=now + seconds)
        self._reschedule_failed = self._reschedule.values(
            last_error=bindparam("error", type_=Text), attempts=columns.attempts + bindparam("counted", type_=Integer)
        )

    async def lease_due(self, connection: AsyncConnection, limit: int, seconds: float) -> Sequence[tuple[Row[Any], Lease]]:
        """Lease up to `limit` rows that have work, are due, and that nobody else holds."""
        token = secrets.token_urlsafe(16)
        rows = (await connection.execute(self._lease, {"limit": limit, "seconds": seconds, "new_token": token})).all()
        return [(row, Lease(row.id, token, row.lease_expires_at)) for row in rows]

    async def renew(self, leases: Sequence[Lease], seconds: float) -> frozenset[str]:
        """Hold them longer, in one statement; the keys of those that were still held."""
        async with self._database.write() as connection:
            rows = await connection.execute(self._renew, {"held": [(lease.key, lease.token) for lease in leases], "seconds": seconds})
            return frozenset(row.id for row in rows)

    async def reschedule(self, lease: Lease, seconds: float, error: str | None, *, counts: bool) -> None:
        """Give it back and come again in `seconds`; keep `error`, and count an attempt if it `counts`."""
        pause = min(seconds, LONGEST_PAUSE_SECONDS)
        async with self._database.write() as connection:
            if error is None:
                await _one(connection, self._reschedule, lease, seconds=pause)
            else:
                await _one(connection, self._reschedule_failed, lease, seconds=pause, error=error, counted=int(counts))

    async def held(self, connection: AsyncConnection, lease: Lease) -> Row[Any]:
        """The leased row, locked until the end of the transaction; raises `LeaseLost` where it is no longer held."""
        return await _one(connection, self._held, lease)


async def _one(connection: AsyncConnection, statement: Executable, lease: Lease, **values: Any) -> Row[Any]:
    row = (await connection.execute(statement, {"held_key": lease.key, "held_token": lease.token, **values})).one_or_none()
    if row is None:
        raise LeaseLost
    return row


def _lease_due(table: Table, has_work: ColumnElement[bool], now: ColumnElement[float], seconds: ColumnElement[float]) -> Executable:
    """The rows are chosen in a common table expression: Postgres may run a plain sub-select more than once, and lease too many.

    What is said to be further off than anything is ever put off was written before the clock was set back, and is due.
    """
    free = or_(table.c.lease_token.is_(None), is_past(table.c.lease_expires_at, now, seconds))
    due = (
        select(table.c.id)
        .where(has_work, is_past(table.c.next_attempt_at, now, LONGEST_PAUSE_SECONDS), free)
        .order_by(table.c.next_attempt_at, table.c.created_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        update(table)
        .where(table.c.id.in_(select(due.c.id)))
        .values(lease_token=bindparam("new_token", type_=Text), lease_expires_at=now + seconds)
        .returning(*table.c)
    )


def is_past(moment: ColumnElement[float], now: ColumnElement[float], longest: float | ColumnElement[float]) -> ColumnElement[bool]:
    """Whether a moment has passed, or lies further off than `longest` seconds, so that it was written before the clock was set back."""
    return or_(moment <= now, moment > now + longest + CLOCK_SLACK_SECONDS)
