"""How each alarm is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from openclaw_hosted.domain.alarms import AlarmState, Told
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.ports.stores import Hints
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.hints import hint_all
from openclaw_hosted.store.rows import ADD_EVENTS, event_values


def _save(*, is_sqlite: bool) -> Any:
    add = sqlite_insert(tables.alarms) if is_sqlite else postgres_insert(tables.alarms)
    newer = {column.name: add.excluded[column.name] for column in tables.alarms.c if column.name != "name"}
    return add.on_conflict_do_update(index_elements=[tables.alarms.c.name], set_=newer)


_SAVE = {is_sqlite: _save(is_sqlite=is_sqlite) for is_sqlite in (True, False)}


class SqlAlarms:
    """`AlarmStore` on a database."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints

    async def list(self) -> Sequence[AlarmState]:
        async with self._database.read() as connection:
            return [_to_state(row) for row in await connection.execute(select(tables.alarms))]

    async def save(self, states: Sequence[AlarmState], events: Sequence[Event]) -> None:
        if not states:
            return
        async with self._database.write() as connection:
            await connection.execute(_SAVE[self._database.is_sqlite], [_values(state) for state in states])
            if events:
                await connection.execute(ADD_EVENTS, [event_values(event) for event in events])
        if events:
            await hint_all(self._hints, {Topic.CHANGES})


def _values(state: AlarmState) -> dict[str, Any]:
    return {
        "name": state.name, "bad_since": state.bad_since, "well_since": state.well_since, "began_at": state.began_at,
        "ended_at": state.ended_at, "value": state.value, "about": state.about, "told": json.dumps(dict(state.told)),
    }  # fmt: skip


def _to_state(row: Any) -> AlarmState:
    told = {channel: Told(heard) for channel, heard in json.loads(row.told).items()}
    return AlarmState(row.name, row.bad_since, row.well_since, row.began_at, row.ended_at, row.value, row.about, told)
