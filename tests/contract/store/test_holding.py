"""A placement that an operator holds, and when somebody may work on it again."""

from __future__ import annotations

from functools import partial

import pytest

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import LeaseLost, StateConflict
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.store import Store
from tests.support.actors import acting_as
from tests.support.life import NOW, place

from .make import MINUTE, OTHER, OWNER, add_spares, create, lease, running

HOLD = partial(lifecycle.hold, actor=acting_as(OTHER), now=NOW)
RETRY = partial(lifecycle.ask_restart, actor=acting_as(OWNER), now=NOW)


async def test_who_was_at_work_on_a_held_placement_lets_go(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    held = await lease(store, instance)
    after = await store.instances.update(instance.id, HOLD)
    assert (after.phase, after.last_error) == (Phase.FAILED, lifecycle.HELD)
    with pytest.raises(LeaseLost):
        await place(store, held)


async def test_a_retry_waits_until_nobody_can_be_at_work_any_more(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    await lease(store, instance)
    await store.instances.update(instance.id, HOLD)
    retried = await store.instances.update(instance.id, RETRY)
    assert retried.phase is Phase.REPLACING
    assert retried.next_attempt_at > 0
    assert await store.instances.lease_due(10, MINUTE) == []


async def test_a_placement_that_nobody_was_at_is_due_at_once_when_retried(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    await store.instances.update(instance.id, HOLD)
    await store.instances.update(instance.id, RETRY)
    assert [due.id for due, _ in await store.instances.lease_due(10, MINUTE)] == [instance.id]


async def test_what_runs_is_not_held(store: Store) -> None:
    instance = await running(store)
    with pytest.raises(StateConflict, match="only what is being placed or changed can be held"):
        await store.instances.update(instance.id, HOLD)
