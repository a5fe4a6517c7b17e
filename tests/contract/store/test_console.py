"""Pages of long lists: all is on one of them, once, in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.listing import EventSearch, InstanceSearch, MachineSearch, Order, Page, Position, UserSearch
from openclaw_hosted.domain.machine import MachineFailure, MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.store import Store
from tests.support.actors import acting_as
from tests.support.life import NOW, condemn, see_gone

from .make import OTHER, OWNER, a_user, add_machines, an_event, create, running


async def all_pages(page_of: Callable[[str | None], Awaitable[Page[Any]]]) -> list[Any]:
    found: list[Any] = []
    after: str | None = None
    while True:
        page = await page_of(after)
        found += page.items
        if page.after is None:
            return found
        assert page.items
        after = page.after


@pytest.mark.parametrize("order", Order)
async def test_pages_together_hold_every_machine_once_and_in_order(store: Store, order: Order) -> None:
    for number, name in enumerate("abcde"):
        await add_machines(store, name, now=NOW + number // 2)
    found = await all_pages(lambda after: store.console.machines(MachineSearch(order=order), 2, after))
    ids = [machine.id[3:] for machine in found]
    expected = {Order.NEWEST: "ecdab", Order.OLDEST: "abcde", Order.CHANGED: "ecdab", Order.NAME: "abcde"}
    assert "".join(ids) == expected[order]
    assert (await store.console.machines(MachineSearch(), 2)).total == 5


async def test_machines_are_found_by_state_and_by_any_part_of_a_name(store: Store) -> None:
    await add_machines(store, "one", "two")
    await condemn(store, MachineId("mc-one"), MachineFailure.SURPLUS)
    await see_gone(store, MachineId("mc-one"))

    async def found(**search: Any) -> list[str]:
        return [machine.id for machine in (await store.console.machines(MachineSearch(**search), 10)).items]

    assert await found() == ["mc-two"]
    assert await found(states=frozenset({MachineState.TERMINATED})) == ["mc-one"]
    assert await found(text="TW") == ["mc-two"]
    assert await found(text="%") == []
    assert await found(text="nothing") == []


async def test_instances_are_found_by_owner_phase_and_name(store: Store) -> None:
    await running(store)
    await create(store, "second", OTHER)

    async def found(**search: Any) -> list[tuple[str, str]]:
        page = await store.console.instances(InstanceSearch(**search), 10)
        assert page.total == len(page.items)
        return sorted((each.instance.id, each.owner) for each in page.items)

    one, two = ("oc-a", "us-owner@example.com"), ("oc-second", "us-other@example.com")
    assert await found() == [one, two]
    assert await found(owner=OTHER) == await found(phases=frozenset({Phase.PENDING})) == await found(text="other@EXAMPLE") == [two]
    assert await found(text="oc-a") == [one]
    assert [each.instance.id for each in await store.console.waiting(5)] == ["oc-second"]
    assert await store.console.failed(5) == []


@pytest.mark.parametrize("order", Order)
async def test_pages_of_instances_and_users_go_on_where_the_last_one_ended(store: Store, order: Order) -> None:
    for name in ("x", "y", "z"):
        await create(store, name)
    instances = await all_pages(lambda after: store.console.instances(InstanceSearch(order=order), 1, after))
    assert sorted(each.instance.id for each in instances) == ["oc-x", "oc-y", "oc-z"]
    users = await all_pages(lambda after: store.console.users(UserSearch(order=order), 1, after))
    assert sorted((each.user.id, each.instances) for each in users) == [(OTHER, 0), (OWNER, 3)]


async def test_users_are_found_by_role_and_address(store: Store) -> None:
    await store.accounts.add_user(a_user(UserId("us-boss"), Role.ADMIN), None, None)
    assert [each.user.email for each in (await store.console.users(UserSearch(role=Role.ADMIN), 5)).items] == ["us-boss@example.com"]
    assert [each.user.id for each in (await store.console.users(UserSearch("OTHER@"), 5)).items] == [OTHER]
    assert await store.console.emails([OTHER, "us-nobody"]) == {OTHER: "us-other@example.com"}


async def test_events_are_found_by_what_they_are_and_whom_they_name(store: Store) -> None:
    one, machine = InstanceId("oc-one"), MachineId("mc-one")
    for event in (
        an_event(),
        Event(EventName.INSTANCE_CREATED, NOW + 1, one, user_id=OWNER, actor=acting_as(OWNER)),
        Event(EventName.POOL_PAUSED, NOW + 2, actor=acting_as(OTHER)),
        Event(EventName.GATEWAY_RESTARTED, NOW + 3, one, machine),
    ):
        await store.platform.add_event(event)

    async def found(**search: Any) -> list[float]:
        return [event.at - NOW for event in (await store.console.events(EventSearch(**search), 10)).items]

    assert await found() == [3, 2, 1, 0]
    assert await found(names=frozenset({EventName.POOL_PAUSED})) == await found(user_id=OTHER) == [2]
    assert await found(user_id=OWNER) == [1]
    assert await found(instance_id=one) == [3, 1]
    assert await found(machine_id=machine) == [3]
    assert await found(since=NOW + 1, until=NOW + 3) == [2, 1]
    assert [event.at - NOW for event in await all_pages(lambda after: store.console.events(EventSearch(), 3, after))] == [3, 2, 1, 0]
    newest = await store.console.newest((EventName.POOL_PAUSED, EventName.INSTANCE_CREATED))
    assert newest is not None
    assert newest.name is EventName.POOL_PAUSED
    assert await store.console.newest((EventName.BACKUP_MADE,)) is None


async def test_restarts_count_on_machines_that_live(store: Store) -> None:
    instance = await running(store)
    for at in (NOW, NOW + 1, NOW - 900):
        await store.platform.add_event(Event(EventName.GATEWAY_RESTARTED, at, instance.id, MachineId("mc-a")))
    await store.platform.add_event(Event(EventName.GATEWAY_RESTARTED, NOW, None, MachineId("mc-gone")))
    assert await store.console.restarts(NOW - 600) == {MachineId("mc-a"): (2, instance.id)}
    assert await store.console.observation(MachineId("mc-a")) is None


@pytest.mark.parametrize("after", ["", "!", "bm9uZQ", "WzFd", Position("x", "y").encode() + "é"])
async def test_an_address_of_no_page_is_refused(store: Store, after: str) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        await store.console.machines(MachineSearch(), 5, after)


@pytest.mark.parametrize("value", ["text", 1e300, float("nan"), float("inf"), "\0"], ids=["text", "large", "nan", "inf", "null"])
async def test_an_address_of_a_page_of_another_order_is_refused(store: Store, value: str | float) -> None:
    after = Position(value, "x").encode()
    with pytest.raises(InvalidInput):
        await store.console.machines(MachineSearch(order=Order.NEWEST), 5, after)
    with pytest.raises(InvalidInput):
        await store.console.events(EventSearch(), 5, after)
