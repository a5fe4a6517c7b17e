"""A disk that is nearly full, as its operator and the user who fills it are told."""

from __future__ import annotations

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.ports.volumes import LargeVolume
from openclaw_hosted.services.room import LOOK_SECONDS
from tests.integration.web.conftest import World

HELD, FREE = 41_200_000_000, 800_000_000


def fill(world: World, instance_id: str) -> None:
    world.edge.large = [LargeVolume(volume_of(InstanceId(instance_id)), InstanceId(instance_id), HELD, FREE)]


async def test_the_page_of_the_instance_that_fills_the_disk_says_so_and_no_others(world: World) -> None:
    ada = await world.user("ada")
    async with world.api(ada) as api, world.browser(ada) as browser:
        filling, other = [(await api.post("/instances", json={"name": name})).json()["id"] for name in ("Filling", "Other")]
        fill(world, filling)
        page = await browser.get(f"/instances/{filling}")
        assert "uses 41.2 GB, and 0.8 GB are left" in page.text
        assert "fills the disk" not in (await browser.get(f"/instances/{other}")).text
        world.edge.large = []
        world.clock.at += LOOK_SECONDS
        assert "fills the disk" not in (await browser.get(f"/instances/{filling}")).text


async def test_an_operator_sees_who_how_much_and_what_to_do_and_a_user_does_not(world: World) -> None:
    fill(world, "oc-22222222")
    admin, ada = await world.user("admin", Role.ADMIN), await world.user("ada")
    async with world.api(admin) as api, world.browser(admin) as browser:
        assert (await api.get("/room")).json() == {
            "large": [{"instance_id": "oc-22222222", "volume_id": "vol-22222222", "held_bytes": HELD, "free_bytes": FREE}]
        }
        page = (await browser.get("/admin/pool")).text
        assert "holds 41.2 GB" in page
        assert "Ask its user to delete files" in page
    async with world.api(ada) as api:
        assert (await api.get("/room")).status_code == 403


async def test_the_disk_is_looked_at_once_a_minute_however_many_ask(world: World) -> None:
    async with world.api(await world.user("admin", Role.ADMIN)) as api:
        for _ in range(3):
            await api.get("/room")
        assert world.edge.looks_at_disk == 1
        world.clock.at += LOOK_SECONDS
        await api.get("/room")
    assert world.edge.looks_at_disk == 2
