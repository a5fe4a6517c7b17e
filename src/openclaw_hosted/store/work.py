"""Rows as work items: leased, renewed, put off, guarded by the lease's token."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.errors import LeaseLost
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.store.database import Database

LONGEST_PAUSE_SECONDS = 600.0
"""Nothing is put off for longer."""
CLOCK_SLACK_SECONDS = 60.0


class WorkTable:
    """The lease columns of one table."""

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table

    async def lease_due(self, has_work: ColumnElement[bool], limit: int, seconds: float) -> Sequence[tuple[Row[Any], Lease]]:
        """Lease up to `limit` rows that have work, are due, and that nobody else holds.

        The rows are chosen in a common table expression: Postgres may run a plain sub-select more than once, and lease too many.
        What is said to be further off than anything is ever put off was written before the clock was set back, and is due.
        """
        table, now = self._table, self._database.now
        free = or_(table.c.lease_token.is_(None), is_past(table.c.lease_expires_at, now, seconds))
        due = (
            select(table.c.id)
            .where(has_work, is_past(table.c.next_attempt_at, now, LONGEST_PAUSE_SECONDS), free)
            .order_by(table.c.next_attempt_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        token = secrets.token_urlsafe(16)
        statement = (
            update(table)
            .where(table.c.id.in_(select(due.c.id)))
            .values(lease_token=token, lease_expires_at=now + seconds)
            .returning(*table.c)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(statement)).all()
        return [(row, Lease(row.id, token, row.lease_expires_at)) for row in rows]

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """Hold it longer."""
        async with self._database.write() as connection:
            row = await self.guarded(connection, lease, lease_expires_at=self._database.now + seconds)
        return Lease(lease.key, lease.token, row.lease_expires_at)

    async def put_off(self, lease: Lease, seconds: float, error: str | None, *, counts: bool) -> None:
        """Give it back and come again in `seconds`; keep `error`, and count an attempt if it `counts`."""
        values: dict[str, Any] = {"next_attempt_at": self._database.now + min(seconds, LONGEST_PAUSE_SECONDS)}
        if error is not None:
            values |= {"last_error": error, "attempts": self._table.c.attempts + int(counts)}
        async with self._database.write() as connection:
            await self.guarded(connection, lease, lease_token=None, **values)

    async def guarded(self, connection: AsyncConnection, lease: Lease, **values: Any) -> Row[Any]:
        """Update the leased row; raises `LeaseLost` where it is no longer held."""
        table = self._table
        statement = (
            update(table)
            .where(table.c.id == lease.key, table.c.lease_token == lease.token, table.c.lease_expires_at > self._database.now)
            .values(**values)
            .returning(*table.c)
        )
        row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise LeaseLost
        return row

    async def held(self, connection: AsyncConnection, lease: Lease) -> Row[Any]:
        """The leased row, locked until the end of the transaction; raises `LeaseLost` where it is no longer held."""
        table = self._table
        statement = (
            select(table)
            .where(table.c.id == lease.key, table.c.lease_token == lease.token, table.c.lease_expires_at > self._database.now)
            .with_for_update()
        )
        row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise LeaseLost
        return row


def when_broken(row: Row[Any]) -> float:
    """When a row is due whose lease is broken: once it would have run out. What its holder has sent arrives by then."""
    return 0.0 if row.lease_token is None else float(row.lease_expires_at)


def is_past(moment: ColumnElement[float], now: ColumnElement[float], longest: float) -> ColumnElement[bool]:
    """Whether a moment has passed, or lies further off than `longest` seconds, so that it was written before the clock was set back."""
    return or_(moment <= now, moment > now + (longest + CLOCK_SLACK_SECONDS))
