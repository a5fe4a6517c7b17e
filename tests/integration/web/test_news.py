"""News of one's instances on one's own pages."""

from __future__ import annotations

import re

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.key_refusal import KeyRefusal
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.store import tables
from tests.integration.web.conftest import World
from tests.support.actors import acting


async def test_a_user_hears_of_a_move_and_of_a_failure_until_they_hide_it(world: World, ada: User, bob: User) -> None:
    async with world.browser(ada) as browser, world.browser(bob) as other:
        moved, failed = await browser.create("Mover"), await browser.create("Broken")
        for name in (EventName.INSTANCE_MACHINE_LOST, EventName.INSTANCE_RUNNING):
            await world.store.platform.add_event(Event(name, world.clock.now(), InstanceId(moved)))
        await world.put(moved, phase=Phase.RUNNING)
        await world.put(failed, phase=Phase.FAILED, last_error="The provider refused the <key>.")
        page = (await browser.get("/")).text
        assert "moved to another machine, and has run there since" in page
        assert "The provider refused the &lt;key&gt;." in page
        assert "moved to another machine" in (await browser.get(f"/instances/{moved}")).text
        assert "has not worked since" not in (await browser.get(f"/instances/{failed}")).text
        assert "moved to another machine" not in (await other.get("/")).text
        marks = re.findall(r'name="mark" value="([0-9a-f]{8})"', page)
        assert len(marks) == 2
        hidden = await browser.post("/account/hide-news", mark=marks[0], back=f"/instances/{moved}")
        assert (hidden.status_code, hidden.headers["location"]) == (303, f"/instances/{moved}")
        assert re.findall(r'name="mark" value="([0-9a-f]{8})"', (await browser.get("/")).text) == marks[1:]
        await browser.post("/account/hide-news", mark=marks[1], back="https://evil.example")
        assert 'name="mark"' not in (await browser.get("/")).text
        assert (await browser.post("/account/hide-news", mark="<script>")).status_code == 422


async def test_a_refused_key_is_news_to_its_user_and_in_the_overview(world: World, ada: User, admin: User) -> None:
    async with world.browser(ada) as browser, world.browser(admin) as operator, world.api(admin) as api:
        made = InstanceId(await browser.create("Work"))
        await world.run(made)
        assert "refused the API key" not in (await browser.get("/")).text
        since = world.clock.now()
        await world.store.news.refuse(KeyRefusal(made, since), Event(EventName.INSTANCE_KEY_REFUSED, since, made))
        for path, whose in {"/": "the API key of", f"/instances/{made}": "this instance's API key"}.items():
            page = (await browser.get(path)).text
            assert f"has refused {whose}" in page
            assert f'href="/instances/{made}/settings"' in page
        assert f"Providers of models refuse the key of an instance: {made}." in (await operator.get("/admin")).text
        [finding] = [each for each in (await api.get("/overview")).json()["findings"] if each["kind"] == "keys_refused"]
        assert (finding["severity"], made in finding["text"]) == ("warn", True)
        await world.store.news.forget([made])
        assert "has refused the API key" not in (await browser.get("/")).text


async def test_a_newer_openclaw_is_news(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        made = await browser.create("Work")
        await world.run(made)
        assert "will be upgraded" not in (await browser.get("/")).text
        async with world.store.database.write() as connection:
            await connection.execute(tables.machines.update().values(image="2026.1.1"))
        page = (await browser.get("/")).text
    assert "will be upgraded: it gets OpenClaw 2026.9.6 when it next moves" in page


async def test_a_user_turns_news_by_e_mail_on_and_off_on_the_account_page(world: World, ada: User) -> None:
    async with world.browser(ada) as browser, world.api(ada) as api:
        page = (await browser.get("/account")).text
        assert "Turn on" in page
        assert (await api.get("/me/mail")).json() == {"on": False, "possible": True}
        turned = await browser.post("/account/mail", on="yes")
        assert (turned.status_code, turned.headers["location"]) == (303, "/account?done=saved#news")
        page = (await browser.get("/account")).text
        assert "News goes to ada@example.com." in page
        assert (await api.patch("/me/mail", json={"on": True})).json() == {"on": True, "possible": True}
        await browser.post("/account/mail")
        assert (await api.get("/me/mail")).json()["on"] is False
        refused = await api.patch("/me/mail", json={"on": "maybe"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "on")


async def test_without_a_mail_server_the_switch_says_so(world: World, ada: User) -> None:
    await world.kit.mail.change(acting(ada), on=True)
    none = World(world.store, sends_mail=False)
    async with none.browser(ada) as browser, none.api(ada) as api:
        page = (await browser.get("/account")).text
        assert "its operator has set up no mail server" in page
        assert "Turn off" in page
        assert (await api.patch("/me/mail", json={"on": False})).json() == {"on": False, "possible": False}
        assert "Turn on" not in (await browser.get("/account")).text
        refused = await api.patch("/me/mail", json={"on": True})
        assert (refused.status_code, "no mail server" in refused.json()["detail"]) == (409, True)
