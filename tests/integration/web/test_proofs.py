"""What lets somebody in ends with the password, the role or the state that it was given out under: in the database and at the edge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from openclaw_hosted.domain.account import LinkPurpose, Role, Session, User
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.errors import NotAllowed, StateConflict
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.services.accounts import digest
from tests.integration.web.conftest import PAGE, PASSWORD, World
from tests.support.actors import STRANGER, acting

NEW = "quite another one"
NEW_TWICE = {"password": NEW, "password_again": NEW}


async def test_a_reset_leaves_nothing_that_was_given_out_before(world: World, ada: User, bob: User) -> None:
    accounts = world.kit.accounts
    token, others = await accounts.create_token(acting(ada), "laptop"), await accounts.create_token(acting(bob), "laptop")
    old, good = await accounts.reset_link(SETUP, ada.id), await accounts.reset_link(SETUP, ada.id)
    async with world.browser(ada) as browser, world.browser(bob), world.client(**PAGE) as elsewhere:
        assert (await elsewhere.get(f"/reset/{old}")).status_code == 403
        assert (await elsewhere.post(f"/reset/{good}", data=NEW_TWICE)).status_code == 303
        assert (await browser.get("/")).status_code == 303
        assert await accounts.user_by_token(token) is None
        assert await accounts.user_by_token(others) is not None
        assert len(await accounts.sessions(acting(ada))) == 1
        assert world.edge.admitted.keys() == {each.hash for user in (ada, bob) for each in await accounts.sessions(acting(user))}


@pytest.mark.parametrize("keep", [False, True])
async def test_a_change_ends_sessions_and_links_and_tokens_unless_they_are_kept(world: World, ada: User, keep: bool) -> None:
    accounts = world.kit.accounts
    token = await accounts.create_token(acting(ada), "laptop")
    link = await accounts.reset_link(SETUP, ada.id)
    async with world.browser(ada) as browser, world.browser(ada) as other:
        form = {"current_password": PASSWORD, **NEW_TWICE, **({"keep_tokens": "yes"} if keep else {})}
        assert (await browser.post("/account/password", **form)).status_code == 303
        assert (await browser.get("/account")).status_code == 200
        assert (await other.get("/account")).status_code == 303
        assert (await other.get(f"/reset/{link}")).status_code == 403
    assert (await accounts.user_by_token(token) is not None) is keep
    assert world.edge.admitted.keys() == {session.hash for session in await accounts.sessions(acting(ada))}
    (event,) = [each for each in await world.store.platform.events() if each.name == "user.password_changed"]
    assert (event.user_id, event.detail) == (ada.id, {"tokens": "kept" if keep else "ended"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"current_password": "wrong", **NEW_TWICE},
        {"current_password": PASSWORD, "password": "short", "password_again": "short"},
        {"current_password": PASSWORD, "password": NEW, "password_again": "something else"},
    ],
)
async def test_a_change_that_fails_leaves_everything_as_it_was(world: World, ada: User, wrong: dict[str, str]) -> None:
    accounts = world.kit.accounts
    token = await accounts.create_token(acting(ada), "laptop")
    async with world.browser(ada) as browser:
        sessions = await accounts.sessions(acting(ada))
        assert (await browser.post("/account/password", **wrong)).status_code in (403, 422)
        assert await accounts.sessions(acting(ada)) == sessions
    assert await accounts.user_by_token(token) is not None
    assert await accounts.authenticate(ada.email, PASSWORD) is not None
    assert world.edge.admitted.keys() == {session.hash for session in sessions}


async def test_a_disabled_user_gets_in_by_no_link(world: World, admin: User, ada: User) -> None:
    accounts = world.kit.accounts
    link = await accounts.reset_link(SETUP, ada.id)
    async with world.browser(admin) as operator, world.client(**PAGE) as elsewhere:
        await operator.post(f"/admin/users/{ada.id}/disable")
        assert (await elsewhere.post(f"/reset/{link}", data=NEW_TWICE)).status_code == 403
        assert (await operator.post(f"/admin/users/{ada.id}/reset-link")).status_code == 409
        await world.store.accounts.add_link(digest("left"), LinkPurpose.PASSWORD_RESET, ada.email, Role.USER, world.clock.now() + 9, None)
        assert (await elsewhere.post("/reset/left", data=NEW_TWICE)).status_code == 403
        assert ada.id not in world.edge.admitted.values()
        await operator.post(f"/admin/users/{ada.id}/enable")
        for secret in (link, "left"):
            assert (await elsewhere.post(f"/reset/{secret}", data=NEW_TWICE)).status_code == 403
    assert await accounts.authenticate(ada.email, PASSWORD) is not None


async def test_a_grant_to_open_an_instance_ends_with_its_session(world: World, ada: User) -> None:
    accounts, instance_id = world.store.accounts, InstanceId("oc-a")
    session = (await world.kit.accounts.sign_in(STRANGER, ada.email, PASSWORD)).session
    await accounts.arm_grant(session.hash, instance_id, world.clock.now() + 60)
    await world.kit.accounts.end_session(acting(ada), session)
    assert not await accounts.redeem_grant(session.hash, instance_id, world.clock.now())


class Overtaken:
    """A gate at which a session ends while it is being admitted."""

    def __init__(self, world: World, end: Callable[[Session], Awaitable[None]]) -> None:
        self._admit, self._end = world.edge.allow, end
        world.edge.allow = self  # type: ignore[method-assign]

    async def __call__(self, session: Session) -> None:
        await self._end(session)
        await self._admit(session)


async def test_a_session_that_ends_while_the_edge_hears_of_it_does_not_pass(world: World, ada: User) -> None:
    async def shut_out(session: Session) -> None:
        await world.kit.accounts.set_disabled(SETUP, session.user_id, disabled=True)

    Overtaken(world, shut_out)
    with pytest.raises(NotAllowed):
        await world.kit.accounts.sign_in(STRANGER, ada.email, PASSWORD)
    assert world.edge.admitted == {}


async def test_a_link_for_a_disabled_account_says_what_to_do(world: World, ada: User) -> None:
    await world.kit.accounts.set_disabled(SETUP, ada.id, disabled=True)
    with pytest.raises(StateConflict, match="Enable it first"):
        await world.kit.accounts.reset_link(SETUP, ada.id)


@pytest.mark.usefixtures("ada")
async def test_accounts_can_sign_in_though_there_is_no_admin(world: World) -> None:
    """As after an adoption, which knows of no admins."""
    assert not await world.kit.accounts.is_new()
    async with world.client(**PAGE) as client:
        assert 'name="password"' in (await client.get("/sign-in")).text
