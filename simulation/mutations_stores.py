"""Mutants of the stores, and of the use cases that users ask for."""

from __future__ import annotations

from typing import Final

from simulation.mutation import Catcher, Mutant

STORE_MUTANTS: Final = (
    Mutant(
        "the-idempotency-key-is-dropped",
        "services/instances.py",
        "            _idempotency(idempotency_key, request),",
        "            None,",
    ),
    Mutant(
        "everybody-is-an-owner",
        "services/reach.py",
        "if instance.owner_id != actor.id:",
        "if False:",
    ),
    Mutant(
        "a-key-stands-in-the-name",
        "services/instances.py",
        "            actor.user_id, name, request.settings, names,",
        "            actor.user_id, name + ''.join(request.credentials.set.values()), request.settings, names,",
    ),
    Mutant(
        "an-adoption-that-was-cut-off-is-taken-as-done",
        "store/adoption.py",
        'update(tables.identity).values(mark=f"{UNDER_WAY}{mark}")',
        "update(tables.identity).values(mark=mark)",
        Catcher.ADOPTION,
    ),
    # The store itself.
    Mutant(
        "the-lease-guards-nothing",
        "store/work.py",
        "self._held = select(table).where(held)",
        'self._held = select(table).where(columns.id == bindparam("held_key", type_=Text))',
    ),
    Mutant(
        "a-leased-row-is-leased-again",
        "store/work.py",
        ".where(has_work, is_past(table.c.next_attempt_at, now, LONGEST_PAUSE_SECONDS), free)",
        ".where(has_work, is_past(table.c.next_attempt_at, now, LONGEST_PAUSE_SECONDS))",
    ),
    Mutant(
        "any-machine-is-claimed",
        "store/machines.py",
        '    .where(_M.state == word(MachineState.AVAILABLE), or_(_ZONE == "", _M.zone == _ZONE))',
        '    .where(or_(_ZONE == "", _M.zone == _ZONE))',
    ),
    Mutant(
        "the-cap-is-counted-before-the-transaction",
        "store/machines.py",
        "        async with self._database.write() as connection:\n            await self._database.lock(connection, FLEET_LOCK)\n"
        "            room = fleet_cap - await _count_live(connection)",
        "        async with self._database.read() as connection:\n            room = fleet_cap - await _count_live(connection)\n"
        "        async with self._database.write() as connection:",
        Catcher.CONTRACT,
    ),
    Mutant(
        "what-is-restored-from-may-be-removed",
        "store/restore_points.py",
        "            if row is None or used:",
        "            if row is None:",
        Catcher.RESTORES,
    ),
)
