"""What operators change about the pool stays within the cap and is told; what a list leaves out is said."""

from __future__ import annotations

from typing import Any

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.pool import PoolPolicy
from tests.integration.web.conftest import World


async def spares_events(world: World) -> list[tuple[str | None, dict[str, Any]]]:
    return [
        (event.actor.id if event.actor else None, dict(event.detail))
        for event in await world.store.platform.events()
        if event.name == "pool.spares_changed"
    ]


async def test_more_spares_than_the_cap_are_refused_and_the_cap_is_named(world: World, admin: User) -> None:
    async with world.browser(admin) as browser, world.api(admin) as api:
        answer = await api.patch("/pool", json={"spares": 999})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "spares")
        assert "50" in answer.json()["errors"][0]["message"]
        page = await browser.post("/admin/pool/spares", spares="51")
        assert page.status_code == 422
        assert "FLEET_CAP" in page.text
    assert (await world.store.platform.pool_memory()).spares is None
    assert await spares_events(world) == []


async def test_each_change_of_the_spares_says_who_and_from_what_to_what(world: World, admin: User) -> None:
    async with world.browser(admin) as browser, world.api(admin) as api:
        for _ in range(2):
            assert (await api.patch("/pool", json={"spares": 4})).status_code == 200
        assert (await browser.post("/admin/pool/spares", spares="50")).status_code == 303
    assert await spares_events(world) == [(admin.id, {"before": 4, "after": 50}), (admin.id, {"before": 2, "after": 4})]


def test_a_number_from_before_the_cap_was_lowered_counts_up_to_the_cap() -> None:
    policy = PoolPolicy(spares=2, fleet_cap=10)
    assert [policy.wanted(number) for number in (None, 3, 999)] == [2, 3, 10]
