"""Webhooks in a store: whose turn it is, what there is to tell, and that nothing is left out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.errors import LeaseLost, LimitReached, NotFound
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.webhook import DELIVERIES_KEPT, Delivery, Receipt, Webhook, WebhookId
from openclaw_hosted.store import Store
from openclaw_hosted.store.rows import ADD_EVENTS, event_values
from tests.support.life import NOW
from tests.support.waiting import until

from .make import LONG_AGO, MINUTE, OTHER, OWNER, a_user, an_event, create

SECRET = b"sealed"
TAKEN, REFUSED = Receipt(204, 0.1), Receipt(500, 0.1)


async def add(store: Store, name: str, owner: UserId = OWNER, most: int = 100, **more: object) -> Webhook:
    webhook = Webhook(WebhookId(f"wh-{name}"), owner, "https://example.com/", NOW, **more)  # type: ignore[arg-type]
    return await store.webhooks.add(webhook, SECRET, most, an_event(EventName.WEBHOOK_CREATED))


async def due(store: Store) -> dict[str, Webhook]:
    """Those whose turn it is, which have had it then."""
    leased = await store.webhooks.lease_due(100, MINUTE)
    for _, lease in leased:
        await store.webhooks.reschedule(lease, 0.0, None, counts=False)
    return {webhook.id: webhook for webhook, _ in leased}


def a_delivery(number: int = 1, receipt: Receipt = TAKEN) -> Delivery:
    return Delivery(f"m-{number}", number, "instance.running", NOW, 1, receipt)


async def happens(store: Store, instance: str = "oc-mine", name: EventName = EventName.INSTANCE_RUNNING) -> int:
    await store.platform.add_event(Event(name, NOW, InstanceId(instance)))
    [event, *_] = await store.platform.events(limit=1)
    assert event.id is not None
    return event.id


async def test_a_webhook_is_due_once_something_happened_to_an_instance_of_its_owner(store: Store) -> None:
    await create(store, "mine")
    mine, _ = await add(store, "mine"), await add(store, "other", OTHER)
    assert await due(store) == {}
    event = await happens(store)
    await store.platform.add_event(an_event(EventName.POOL_PAUSED))
    assert set(await due(store)) == {mine.id}
    events, until_id = await store.webhooks.pending(mine, 10)
    assert ([each.id for each in events], until_id) == ([event], event + 1)


async def test_a_row_is_leased_once_and_goes_on_from_where_it_stood(store: Store, replica: Store) -> None:
    await create(store, "mine")
    await add(store, "mine")
    events = [await happens(store) for _ in range(3)]
    [(webhook, lease)] = await store.webhooks.lease_due(10, MINUTE)
    assert await replica.webhooks.lease_due(10, MINUTE) == []
    some, until_id = await store.webhooks.pending(webhook, 2)
    assert ([each.id for each in some], until_id) == (events[:2], events[1])
    await store.webhooks.delivered(lease, events[1], a_delivery())
    await store.webhooks.reschedule(lease, 0.0, None, counts=False)
    [(again, other)] = await replica.webhooks.lease_due(10, MINUTE)
    assert again.cursor == events[1]
    with pytest.raises(LeaseLost):
        await store.webhooks.advance(lease, 0)
    await replica.webhooks.advance(other, events[2])
    await replica.webhooks.reschedule(other, 0.0, None, counts=False)
    assert await due(store) == {}


async def test_only_chosen_events_are_told(store: Store) -> None:
    await create(store, "mine")
    webhook = await add(store, "mine", names=frozenset({EventName.INSTANCE_FAILED}))
    await happens(store)
    failed = await happens(store, name=EventName.INSTANCE_FAILED)
    last = await happens(store)
    events, until_id = await store.webhooks.pending(webhook, 10)
    assert ([each.id for each in events], until_id) == ([failed], last)


async def test_all_instances_are_told_of_to_an_admin_who_is_let_in(store: Store) -> None:
    admin = UserId("us-admin")
    await store.accounts.add_user(a_user(admin, Role.ADMIN), None, None)
    await store.accounts.add_user(a_user(UserId("us-second"), Role.ADMIN), None, None)
    await create(store, "theirs", OTHER)
    webhook, _ = await add(store, "all", admin, all_instances=True), await add(store, "not-all", OWNER, all_instances=True)
    event = await happens(store, "oc-theirs")
    assert set(await due(store)) == {webhook.id}
    assert [each.id for each in (await store.webhooks.pending(webhook, 10))[0]] == [event]
    await store.accounts.set_disabled(admin, disabled=True, event=an_event())
    assert await due(store) == {}


async def test_a_failure_is_kept_and_puts_off(store: Store) -> None:
    await create(store, "mine")
    await add(store, "mine")
    await happens(store)
    [(webhook, lease)] = await store.webhooks.lease_due(10, MINUTE)
    failed = replace(webhook, attempts=1, failing_since=NOW, last_error="no")
    await store.webhooks.failed(lease, failed, a_delivery(receipt=REFUSED), MINUTE, [])
    assert await store.webhooks.get(webhook.id) == failed
    assert await due(store) == {}
    with pytest.raises(LeaseLost):
        await store.webhooks.advance(lease, 0)


async def test_one_that_is_off_is_not_due_until_it_is_on_again_and_something_new_happened(store: Store) -> None:
    await create(store, "mine")
    await add(store, "mine")
    await happens(store)
    [(webhook, lease)] = await store.webhooks.lease_due(10, MINUTE)
    off = replace(webhook, attempts=9, failing_since=NOW, disabled_at=NOW, last_error="no")
    said = an_event(EventName.WEBHOOK_DISABLED)
    await store.webhooks.failed(lease, off, a_delivery(receipt=REFUSED), 0.0, [said])
    assert await due(store) == {}
    assert EventName.WEBHOOK_DISABLED in [event.name for event in await store.platform.events()]
    on = await store.webhooks.enable(webhook.id, an_event(EventName.WEBHOOK_ENABLED))
    assert (on.disabled_at, on.failing_since, on.attempts) == (None, None, 0)
    assert await due(store) == {}
    await happens(store)
    assert set(await due(store)) == {webhook.id}


async def test_the_newest_deliveries_are_kept(store: Store) -> None:
    webhook, other = await add(store, "mine"), await add(store, "other", OTHER)
    await store.webhooks.record(other.id, a_delivery(0))
    for number in range(DELIVERIES_KEPT + 3):
        await store.webhooks.record(webhook.id, a_delivery(number, Receipt(None, 1.5, "no answer")))
    kept = await store.webhooks.deliveries(webhook.id, 1000)
    assert [each.event_id for each in kept] == list(range(DELIVERIES_KEPT + 2, 2, -1))
    assert kept[0] == a_delivery(DELIVERIES_KEPT + 2, Receipt(None, 1.5, "no answer"))
    assert await store.webhooks.deliveries(other.id, 10) == [a_delivery(0)]


async def test_one_that_is_removed_is_gone_with_all_of_it(store: Store) -> None:
    webhook = await add(store, "mine")
    await store.webhooks.record(webhook.id, a_delivery())
    assert await store.webhooks.sealed_secret(webhook.id) == SECRET
    await store.webhooks.remove(webhook.id, an_event(EventName.WEBHOOK_REMOVED))
    await store.webhooks.record(webhook.id, a_delivery())
    assert list(await store.webhooks.list_of(OWNER)) == []
    assert list(await store.webhooks.deliveries(webhook.id, 10)) == []
    for asked in (store.webhooks.get(webhook.id), store.webhooks.sealed_secret(webhook.id), store.webhooks.remove(webhook.id, an_event())):
        with pytest.raises(NotFound):
            await asked


async def test_no_more_than_so_many_are_added_at_once(store: Store, replica: Store) -> None:
    adding = (add(each, f"{number}", most=3) for number, each in enumerate((store, replica) * 4))
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 5
    assert len(await store.webhooks.list_of(OWNER)) == 3


async def test_an_event_that_is_committed_late_is_not_passed_over(store: Store, replica: Store) -> None:
    await create(store, "mine")
    webhook = await add(store, "mine")
    async with replica.database.write() as connection:
        await connection.execute(ADD_EVENTS, event_values(Event(EventName.INSTANCE_CHANGED, NOW, InstanceId("oc-mine"))))
        late = asyncio.create_task(happens(store))
        if not store.database.is_sqlite:
            await late
        asked = asyncio.create_task(store.webhooks.pending(webhook, 10))
        if store.database.is_sqlite:
            assert (await asked)[0] == []
        else:
            await until(lambda: _waits_for_a_lock(store))
    await late
    events, _ = await (store.webhooks.pending(webhook, 10) if store.database.is_sqlite else asked)
    assert [event.name for event in events] == [EventName.INSTANCE_CHANGED, EventName.INSTANCE_RUNNING]


async def _waits_for_a_lock(store: Store) -> bool:
    async with store.database.read() as connection:
        rows = await connection.exec_driver_sql("SELECT 1 FROM pg_locks WHERE mode = 'ShareLock' AND NOT granted")
        return rows.first() is not None


async def test_the_newest_event_stays_so_that_no_id_is_given_twice(store: Store) -> None:
    ids = [await happens(store) for _ in range(3)]
    while await store.platform.prune(events_before=NOW + LONG_AGO, machines_before=0.0, steps_kept=10):
        pass
    assert [event.id for event in await store.platform.events()] == ids[-1:]
    assert await happens(store) > ids[-1]
