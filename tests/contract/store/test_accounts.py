"""`AccountStore` keeps its promises."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_hosted.domain.account import ALL_PROOFS, Invitation, LinkPurpose, Proof, Role, Session, User
from openclaw_hosted.domain.errors import NotAllowed, NotFound, StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.store import Store, tables
from tests.support.actors import acting
from tests.support.life import NOW

from .make import OTHER, OWNER, a_user, an_event

LATER = NOW + 100
INSTANCE = InstanceId("oc-a")
RESET = LinkPurpose.PASSWORD_RESET


async def give_password(store: Store, hashed: str) -> None:
    async with store.database.write() as connection:
        await connection.execute(tables.users.update().where(tables.users.c.id == OWNER).values(password_hash=hashed))


def a_reset(user: User) -> Event:
    return Event(EventName.USER_PASSWORD_CHANGED, NOW, user_id=user.id, actor=acting(user))


async def give_proofs(store: Store) -> None:
    """One of each to the owner, and one of each to somebody else."""
    for user_id in (OWNER, OTHER):
        await store.accounts.add_session(Session(f"session-{user_id}", user_id, NOW, LATER), None)
        await store.accounts.arm_grant(f"session-{user_id}", INSTANCE, LATER)
        await store.accounts.add_token(f"tk-{user_id}", f"token-{user_id}", user_id, "laptop", NOW, an_event())
        await store.accounts.add_link(f"link-{user_id}", RESET, f"{user_id}@example.com", Role.USER, LATER, None)


async def proofs_of(store: Store, user_id: UserId) -> set[str]:
    accounts = store.accounts
    left = {
        Proof.SESSION: await accounts.sessions_of(user_id, NOW),
        Proof.TOKEN: await accounts.user_by_token(f"token-{user_id}"),
        Proof.RESET_LINK: await accounts.peek_link(f"link-{user_id}", RESET, NOW),
        "grant": await accounts.redeem_grant(f"session-{user_id}", INSTANCE, NOW),
    }
    return {name for name, there in left.items() if there}


async def test_an_address_has_one_account(store: Store) -> None:
    twin = a_user(OWNER)
    with pytest.raises(StateConflict):
        await store.accounts.add_user(type(twin)(UserId("us-twin"), twin.email, Role.USER, NOW), None, an_event())
    assert await store.platform.events() == []
    assert [user.id for user in await store.accounts.users()] == [OTHER, OWNER]


async def test_a_user_is_found_by_id_and_by_address(store: Store) -> None:
    await store.accounts.add_user(a_user(UserId("us-new")), "hash", an_event(EventName.USER_JOINED))
    assert await store.accounts.user_by_email("us-new@example.com") == (a_user(UserId("us-new")), "hash")
    assert (await store.accounts.user_by_email(f"{OWNER}@example.com"))[1] is None
    for lookup in (store.accounts.user(UserId("us-none")), store.accounts.user_by_email("none@example.com")):
        with pytest.raises(NotFound):
            await lookup


async def test_a_new_password_ends_the_sessions_and_a_new_hash_does_not(store: Store) -> None:
    for name in ("one", "two"):
        await store.accounts.add_session(Session(name, OWNER, NOW, LATER), None)
    await store.accounts.add_session(Session("theirs", OTHER, NOW, LATER), None)
    await give_password(store, "first")
    assert await store.accounts.renew_hash(OWNER, "first", "newer")
    assert not await store.accounts.renew_hash(OWNER, "first", "older")
    assert len(await store.accounts.sessions(NOW)) == 3
    with pytest.raises(NotAllowed):
        await store.accounts.set_password(OWNER, "changed", "first", ALL_PROOFS, None)
    assert sorted(await store.accounts.set_password(OWNER, "changed", "newer", ALL_PROOFS, None)) == ["one", "two"]
    assert [session.hash for session in await store.accounts.sessions(NOW)] == ["theirs"]
    assert (await store.accounts.user_by_email(f"{OWNER}@example.com"))[1] == "changed"


async def test_own_sessions_are_listed_newest_first_and_expired_ones_not_at_all(store: Store) -> None:
    for name, created, expires in (("old", NOW, LATER), ("new", NOW + 1, LATER), ("gone", NOW, NOW)):
        await store.accounts.add_session(Session(name, OWNER, created, expires), None)
    assert [session.hash for session in await store.accounts.sessions_of(OWNER, NOW)] == ["new", "old"]
    await store.accounts.end_session("unknown")


async def test_a_disabled_user_has_neither_sessions_nor_tokens(store: Store) -> None:
    await store.accounts.add_session(Session("one", OWNER, NOW, LATER), None)
    await store.accounts.add_token("tk-1", "hash-1", OWNER, "laptop", NOW, an_event(EventName.TOKEN_CREATED))
    assert await store.accounts.set_disabled(OWNER, disabled=True, event=an_event(EventName.USER_DISABLED)) == ["one"]
    assert await store.accounts.user_by_token("hash-1") is None
    assert await store.accounts.set_disabled(OWNER, disabled=False, event=an_event(EventName.USER_ENABLED)) == []
    assert await store.accounts.user_by_token("hash-1") is None
    assert (await store.accounts.user(OWNER)).disabled is False


async def test_a_token_names_its_user_until_it_is_revoked(store: Store) -> None:
    await store.accounts.add_token("tk-1", "hash-1", OWNER, "laptop", NOW, an_event())
    assert await store.accounts.tokens_of(OWNER) == [("tk-1", "laptop", NOW)]
    found = await store.accounts.user_by_token("hash-1")
    assert found is not None
    assert found.id == OWNER
    await store.accounts.revoke_token("tk-1", an_event(EventName.TOKEN_REVOKED))
    assert await store.accounts.user_by_token("hash-1") is None
    with pytest.raises(NotFound):
        await store.accounts.revoke_token("tk-1", an_event())


async def test_the_last_admin_stays(store: Store) -> None:
    await store.accounts.set_role(OWNER, Role.ADMIN, an_event())
    with pytest.raises(StateConflict):
        await store.accounts.set_role(OWNER, Role.USER, an_event())
    with pytest.raises(StateConflict):
        await store.accounts.set_disabled(OWNER, disabled=True, event=an_event())
    await store.accounts.set_role(OTHER, Role.ADMIN, an_event())
    await store.accounts.set_role(OWNER, Role.USER, an_event())
    with pytest.raises(NotFound):
        await store.accounts.set_role(UserId("us-none"), Role.USER, an_event())


async def test_two_admins_who_step_down_at_once_leave_one(store: Store, replica: Store) -> None:
    for _ in range(5):
        for user_id in (OWNER, OTHER):
            await store.accounts.set_role(user_id, Role.ADMIN, an_event())
        down = (store.accounts.set_role(OWNER, Role.USER, an_event()), replica.accounts.set_role(OTHER, Role.USER, an_event()))
        outcomes = await asyncio.gather(*down, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if outcome != []] == [StateConflict]
        assert sum(user.role is Role.ADMIN for user in await store.accounts.users()) == 1


async def test_a_new_set_up_link_replaces_the_earlier_one(store: Store) -> None:
    for name in ("one", "two"):
        await store.accounts.add_link(name, LinkPurpose.SETUP, None, Role.ADMIN, LATER, None)
    await store.accounts.add_link("invite", LinkPurpose.INVITE, "new@example.com", Role.USER, LATER, None)
    assert await store.accounts.peek_link("one", LinkPurpose.SETUP, NOW) is None
    assert await store.accounts.peek_link("two", LinkPurpose.SETUP, NOW) == (None, Role.ADMIN)
    assert await store.accounts.peek_link("two", LinkPurpose.INVITE, NOW) is None
    assert await store.accounts.use_link("invite", LinkPurpose.INVITE, NOW) == ("new@example.com", Role.USER)
    assert await store.accounts.use_link("two", LinkPurpose.SETUP, LATER) is None


async def test_invitations_are_listed_until_they_end_and_removed_by_their_names(store: Store) -> None:
    for number, (purpose, ends) in enumerate(
        ((LinkPurpose.INVITE, LATER + 1), (LinkPurpose.INVITE, LATER), (LinkPurpose.INVITE, NOW), (RESET, LATER))
    ):
        await store.accounts.add_link(f"{number}" * 64, purpose, f"{number}@example.com", Role.ADMIN, ends, None)
    last, first = Invitation("0" * 12, "0@example.com", Role.ADMIN, LATER + 1), Invitation("1" * 12, "1@example.com", Role.ADMIN, LATER)
    assert await store.accounts.invitations(NOW) == [first, last]
    await store.accounts.remove_invitation(first.id, an_event())
    assert await store.accounts.invitations(NOW) == [last]
    for gone in (first.id, "3" * 12, "%", "0"):
        with pytest.raises(NotFound):
            await store.accounts.remove_invitation(gone, an_event())
    assert await store.accounts.peek_link("3" * 64, RESET, NOW) is not None


async def test_a_grant_armed_many_times_at_once_is_redeemed_once(store: Store, replica: Store) -> None:
    armed = (each.accounts.arm_grant("session", INSTANCE, LATER) for each in (store, replica) * 10)
    await asyncio.gather(*armed)
    redeemed = await asyncio.gather(*(each.accounts.redeem_grant("session", INSTANCE, NOW) for each in (store, replica) * 3))
    assert sum(redeemed) == 1


async def test_sweeping_drops_what_has_expired_and_nothing_else(store: Store) -> None:
    for name, expires in (("old", NOW), ("good", LATER)):
        await store.accounts.add_session(Session(name, OWNER, NOW, expires), None)
        await store.accounts.add_link(name, LinkPurpose.INVITE, None, Role.USER, expires, None)
        await store.accounts.arm_grant(name, INSTANCE, expires)
    await store.accounts.sweep(NOW)
    assert [session.hash for session in await store.accounts.sessions(0)] == ["good"]
    assert await store.accounts.peek_link("old", LinkPurpose.INVITE, 0) is None
    assert await store.accounts.peek_link("good", LinkPurpose.INVITE, 0) is not None
    assert not await store.accounts.redeem_grant("old", INSTANCE, 0)
    assert await store.accounts.redeem_grant("good", INSTANCE, 0)


@pytest.mark.parametrize("ends", [ALL_PROOFS, ALL_PROOFS - {Proof.TOKEN}])
async def test_what_a_new_password_ends_is_the_users_alone(store: Store, ends: frozenset[Proof]) -> None:
    await give_password(store, "first")
    await give_proofs(store)
    assert await store.accounts.set_password(OWNER, "changed", "first", ends, an_event()) == [f"session-{OWNER}"]
    assert await proofs_of(store, OWNER) == ALL_PROOFS - ends
    assert await proofs_of(store, OTHER) == {*ALL_PROOFS, "grant"}


async def test_a_reset_ends_all_that_was_given_out_and_other_links_with_it(store: Store) -> None:
    await give_proofs(store)
    await store.accounts.add_link("invite", LinkPurpose.INVITE, "new@example.com", Role.USER, LATER, None)
    done = await store.accounts.reset_password(f"link-{OWNER}", NOW, "changed", ALL_PROOFS, a_reset)
    assert done is not None
    assert (done[0].id, done[1]) == (OWNER, [f"session-{OWNER}"])
    assert await proofs_of(store, OWNER) == set()
    assert await proofs_of(store, OTHER) == {*ALL_PROOFS, "grant"}
    assert await store.accounts.peek_link("invite", LinkPurpose.INVITE, NOW) is not None
    (event,) = await store.platform.events(limit=1)
    assert (event.name, event.user_id, event.actor) == (EventName.USER_PASSWORD_CHANGED, OWNER, acting(done[0]))
    for link in (f"link-{OWNER}", "unknown", "invite"):
        assert await store.accounts.reset_password(link, NOW, "again", ALL_PROOFS, a_reset) is None
    assert await store.accounts.reset_password(f"link-{OTHER}", LATER, "again", ALL_PROOFS, a_reset) is None


async def test_disabling_enabling_and_another_role_end_all_that_was_given_out(store: Store) -> None:
    for disabled in (True, False):
        await give_proofs_anew(store)
        assert await store.accounts.set_disabled(OWNER, disabled=disabled, event=an_event()) == [f"session-{OWNER}"]
        assert await proofs_of(store, OWNER) == set()
    await give_proofs_anew(store)
    assert await store.accounts.set_role(OWNER, Role.USER, an_event(EventName.USER_ROLE_CHANGED)) == [f"session-{OWNER}"]
    assert await proofs_of(store, OWNER) == set()
    assert await proofs_of(store, OTHER) == {*ALL_PROOFS, "grant"}


async def give_proofs_anew(store: Store) -> None:
    await store.accounts.set_role(OTHER, Role.ADMIN, an_event())
    await store.accounts.set_disabled(OWNER, disabled=False, event=an_event())
    async with store.database.write() as connection:
        for table in (tables.sessions, tables.tokens, tables.links, tables.grants):
            await connection.execute(table.delete())
    await give_proofs(store)


async def test_a_disabled_user_is_given_nothing(store: Store) -> None:
    await store.accounts.set_disabled(OWNER, disabled=True, event=an_event())
    await store.accounts.add_link("left", RESET, f"{OWNER}@example.com", Role.USER, LATER, None)
    for attempt in (
        store.accounts.add_session(Session("one", OWNER, NOW, LATER), None),
        store.accounts.add_token("tk", "hash", OWNER, "laptop", NOW, an_event()),
        store.accounts.reset_password("left", NOW, "changed", ALL_PROOFS, a_reset),
    ):
        with pytest.raises(NotAllowed):
            await attempt
    assert (await store.accounts.user_by_email(f"{OWNER}@example.com"))[1] is None


async def test_a_sign_in_with_a_password_that_was_changed_meanwhile_is_refused(store: Store) -> None:
    await give_password(store, "second")
    with pytest.raises(NotAllowed):
        await store.accounts.add_session(Session("one", OWNER, NOW, LATER), None, "first")
    await store.accounts.add_session(Session("one", OWNER, NOW, LATER), None, "second")


async def test_of_sessions_begun_while_an_account_is_disabled_none_is_left(store: Store, replica: Store) -> None:
    for number in range(5):
        begin = (replica.accounts.add_session(Session(f"{number}-{each}", OWNER, NOW, LATER), None) for each in range(4))
        disable = store.accounts.set_disabled(OWNER, disabled=True, event=an_event())
        outcomes = await asyncio.gather(disable, *begin, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {list, type(None), NotAllowed}
        assert await store.accounts.sessions_of(OWNER, NOW) == []
        await store.accounts.set_disabled(OWNER, disabled=False, event=an_event())


async def test_a_new_link_replaces_those_for_the_same_purpose_and_address(store: Store) -> None:
    for name, email in (("one", "a@example.com"), ("two", "a@example.com"), ("three", "b@example.com")):
        await store.accounts.add_link(name, RESET, email, Role.USER, LATER, None)
    assert [await store.accounts.peek_link(name, RESET, NOW) is not None for name in ("one", "two", "three")] == [False, True, True]
