"""`NewsStore`: refused keys, and who wants news by e-mail."""

from __future__ import annotations

from dataclasses import replace

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.key_refusal import KeyRefusal
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.store import Store

ADA, BOB = UserId("u-ada"), UserId("u-bob")
REFUSED = KeyRefusal(InstanceId("oc-22222222"), 5.0, 12_000_000_000)
SAID = Event(EventName.INSTANCE_KEY_REFUSED, 5.0, REFUSED.instance_id)
WORKS = Event(EventName.INSTANCE_KEY_REFUSAL_OVER, 6.0, REFUSED.instance_id)


def changed(user_id: UserId) -> Event:
    return Event(EventName.USER_MAIL_CHANGED, 1.0, user_id=user_id)


async def names(store: Store) -> list[EventName]:
    return [event.name for event in await store.platform.events(limit=50)][::-1]


async def test_a_refusal_is_kept_and_told_once_until_it_is_forgotten(store: Store) -> None:
    await store.news.refuse(REFUSED, SAID)
    await store.news.refuse(replace(REFUSED, since=9.0), SAID)
    assert await store.news.refusals() == {REFUSED.instance_id: REFUSED}
    await store.news.forget([REFUSED.instance_id], [WORKS])
    assert await store.news.refusals() == {}
    await store.news.forget([])
    assert await names(store) == [EventName.INSTANCE_KEY_REFUSED, EventName.INSTANCE_KEY_REFUSAL_OVER]


async def test_users_are_told_from_when_they_ask_until_they_ask_no_more(store: Store) -> None:
    for user_id in (ADA, BOB):
        await store.accounts.add_user(User(user_id, f"{user_id}@example.com", Role.USER, 1.0), None, None)
        assert await store.news.subscription(user_id) is None
        await store.news.subscribe(user_id, 10.0, changed(user_id))
    await store.news.subscribe(ADA, 20.0, changed(ADA))
    await store.news.told(ADA, ["00000001", "00000002"], 30.0)
    found = await store.news.subscription(ADA)
    assert found is not None
    assert (found.email, found.since, found.last_at, found.told) == ("u-ada@example.com", 10.0, 30.0, ("00000001", "00000002"))
    assert [each.user_id for each in await store.news.subscriptions()] == [BOB, ADA]
    await store.news.unsubscribe(ADA, changed(ADA))
    await store.news.unsubscribe(ADA, changed(ADA))
    await store.news.told(ADA, ["00000003"], 40.0)
    assert await store.news.subscription(ADA) is None
    assert (await names(store)).count(EventName.USER_MAIL_CHANGED) == 3


async def test_nobody_writes_to_a_disabled_account(store: Store) -> None:
    await store.accounts.add_user(User(ADA, "ada@example.com", Role.USER, 1.0), None, None)
    await store.news.subscribe(ADA, 10.0, changed(ADA))
    await store.accounts.set_disabled(ADA, disabled=True, event=changed(ADA))
    assert await store.news.subscriptions() == []
