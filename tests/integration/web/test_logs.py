"""The log of an instance, on its page, as a file and by the API: narrowed by time, level and words."""

from __future__ import annotations

import re

from openclaw_hosted.domain.account import User
from tests.integration.web.conftest import World

LOG = [
    "2026-09-21 12:00:00 INFO [gateway] ready",
    "2026-09-21 14:00:00 WARN [agent] slow",
    "2026-09-21 14:10:00 ERROR [agent] <b>broke</b>",
    "    at run (agent.js:1)",
]
"""The clock of the tests says 14:13:20."""


async def running(world: World, user: User) -> str:
    async with world.api(user) as api:
        instance_id = (await api.post("/instances", json={"name": "Mine"})).json()["id"]
    await world.run(instance_id)
    world.edge.log = list(LOG)
    return str(instance_id)


async def test_the_page_shows_the_newest_line_last_and_names_the_zone(world: World, ada: User) -> None:
    instance_id = await running(world, ada)
    async with world.browser(ada) as browser:
        page = (await browser.get(f"/instances/{instance_id}/logs")).text
    shown = re.findall(r"<li(?: class=\"(\w+)\")?>(.*?)</li>", page)
    assert shown == [
        ("info", LOG[0]), ("warn", LOG[1]), ("error", LOG[2].replace("<", "&lt;").replace(">", "&gt;")), ("error", LOG[3]),
    ]  # fmt: skip
    assert "Times are UTC." in page


async def test_the_page_and_the_file_hold_what_is_sought(world: World, ada: User) -> None:
    instance_id = await running(world, ada)
    async with world.browser(ada) as browser:
        path = f"/instances/{instance_id}/logs"
        page = (await browser.get(f"{path}?level=warn&since=1h&search=SLOW")).text
        assert page.count("<li ") == 1
        assert f"{path}/download?since=1h&amp;level=warn&amp;search=SLOW" in page
        assert "No line is like that." in (await browser.get(f"{path}?search=nowhere")).text
        file = await browser.get(f"{path}/download?level=error")
        assert file.text == f"{LOG[2]}\n{LOG[3]}\n"
        assert file.headers["content-disposition"] == f'attachment; filename="{instance_id}.log"'
        assert file.headers["content-type"].startswith("text/plain")


async def test_a_strange_wish_is_answered_with_the_way_out(world: World, ada: User) -> None:
    instance_id = await running(world, ada)
    async with world.browser(ada) as browser, world.api(ada) as api:
        page = await browser.get(f"/instances/{instance_id}/logs?since=yesterday&level=loud")
        assert page.status_code == 200
        assert "15m" in page.text
        refused = await api.get(f"/instances/{instance_id}/logs", params={"since": "yesterday"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "since")
        assert (await api.get(f"/instances/{instance_id}/logs", params={"level": "loud"})).status_code == 422


async def test_the_api_narrows_alike(world: World, ada: User) -> None:
    instance_id = await running(world, ada)
    async with world.api(ada) as api:
        path = f"/instances/{instance_id}/logs"
        assert (await api.get(path)).json()["lines"] == LOG
        assert (await api.get(path, params={"lines": 1})).json()["lines"] == LOG[3:]
        assert (await api.get(path, params={"since": "15m"})).json()["lines"] == LOG[1:]
        assert (await api.get(path, params={"since": "2026-09-21T14:05:00Z", "search": "broke"})).json()["lines"] == LOG[2:3]


async def test_nobody_else_reads_or_takes_it(world: World, ada: User, bob: User) -> None:
    instance_id = await running(world, ada)
    async with world.browser(bob) as browser:
        for tail in ("", "/download"):
            assert (await browser.get(f"/instances/{instance_id}/logs{tail}")).status_code == 404
