"""What operators see of users who come out of an older system."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.migration import Migration, MigrationState, MigrationStep, OldService, begin_step, end_step, fail_step, start
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.web.pages_migration import STATES, STEPS
from tests.integration.web.conftest import World

DAY = 86_400.0


def moving(user: str, now: float) -> Migration:
    service = OldService(user, f"arn:{user}", f"{user}@example.com")
    return end_step(begin_step(start(Migration(user, service.ref), service, now), now), now + 1.5)


async def put(world: World, *migrations: Migration) -> None:
    lease = await world.store.platform.acquire("migration", "a-token", 60.0)
    assert lease is not None
    for migration in migrations:
        await world.store.migrations.put(migration, lease)


async def page(world: World, user: User) -> str:
    async with world.browser(user) as browser:
        answer = await browser.get("/admin/migration")
        assert answer.status_code == 200, answer.text
        return " ".join(answer.text.split())


async def test_each_user_is_shown_with_state_step_and_reason(world: World, admin: User) -> None:
    now = world.clock.now()
    failed = fail_step(begin_step(moving("user-2", now), now + 2), "The key was <revoked>.", now + 3)
    async with world.browser(admin) as browser:
        instance_id = InstanceId(await browser.create("From user-3"))
    switched = replace(moving("user-3", now), instance_id=instance_id, held_at=now, switched_at=now + 21)
    done = replace(switched, state=MigrationState.DONE, step=None)
    await put(world, moving("user-1", now), failed, done)
    shown = await page(world, admin)
    for text in ("On the way", "Find or create the account", "2 of 14", "Going back", "The key was &lt;revoked&gt;.", "user-3@example.com",
                 "Moved", "The user waited 21.0 s", "You can go back until", instance_id):  # fmt: skip
        assert text in shown, text


async def test_who_can_no_longer_go_back_is_not_said_to_be_able_to(world: World, admin: User) -> None:
    now = world.clock.now()
    gone = replace(moving("user-1", now), state=MigrationState.DONE, step=None, notes=(), held_at=now - 9 * DAY, switched_at=now - 8 * DAY)
    await put(world, gone)
    shown = await page(world, admin)
    assert "user-1@example.com" in shown
    assert "You can go back" not in shown


async def test_without_any_the_page_says_how_users_are_moved(world: World, admin: User) -> None:
    shown = await page(world, admin)
    assert "Nobody was moved here" in shown
    assert "openclaw-hosted migrate run" in shown


async def test_it_is_for_admins(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        assert (await browser.get("/admin/migration")).status_code == 403


@pytest.mark.parametrize(("named", "kind"), [(STATES, MigrationState), (STEPS, MigrationStep)], ids=["states", "steps"])
def test_everything_has_words(named: object, kind: type) -> None:
    assert set(named) == set(kind)  # type: ignore[call-overload]
