"""Who waits to be approved, by page and by API."""

from __future__ import annotations

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from tests.integration.web.conftest import BOT_TOKEN, Browser, World, a_sender


async def running(world: World, browser: Browser) -> str:
    instance_id = await browser.create(channels="telegram", telegramBotToken=BOT_TOKEN)
    await world.run(instance_id)
    return instance_id


async def test_the_page_shows_who_waits_and_settles_it(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        path = f"/instances/{await running(world, browser)}"
        assert "Pending requests" in (await browser.get(path)).text
        assert "There are no pending requests" in (await browser.get(f"{path}/senders")).text
        world.edge.senders = {"r1": a_sender("r1", "<b>Bea</b>"), "r2": a_sender("r2", "")}
        page = (await browser.get(f"{path}/senders")).text
        assert "&lt;b&gt;Bea&lt;/b&gt;" in page
        assert (await browser.post(f"{path}/senders/r1/approve")).headers["location"] == f"{path}/senders"
        assert (await browser.post(f"{path}/senders/r2/dismiss")).status_code == 303
        assert world.edge.settled == [("r1", True), ("r2", False)]
        assert "This request is gone." in (await browser.post(f"{path}/senders/r2/approve")).text
    names = [event.name for event in await world.store.platform.events()]
    assert names.count(EventName.INSTANCE_SENDER_APPROVED) == names.count(EventName.INSTANCE_SENDER_DISMISSED) == 1


async def test_a_form_for_senders_is_given_to_pages_of_ours_only(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        path = f"/instances/{await running(world, browser)}/senders"
        world.edge.senders = {"r1": a_sender("r1", "Bea")}
        fetched = await browser.get(path, **{"HX-Request": "true", "Sec-Fetch-Dest": "empty"})
        assert fetched.status_code == 403
        assert browser.csrf not in fetched.text
        part = await browser.client.post(path, headers={"HX-Request": "true", "X-CSRF-Token": browser.csrf})
        assert "Bea" in part.text
        assert "<html" not in part.text
        assert (await browser.client.post(path, headers={"HX-Request": "true"})).status_code == 403


async def test_the_api_lists_and_settles(world: World, ada: User) -> None:
    async with world.browser(ada) as browser, world.api(ada) as api:
        instance_id = await running(world, browser)
        path = f"/instances/{instance_id}/senders"
        world.edge.senders = {"r1": a_sender("r1", "Bea")}
        (item,) = (await api.get(path)).json()["items"]
        assert (item["id"], item["channel"], item["sender_id"], item["sender_name"]) == ("r1", "Telegram", "123456789", "Bea")
        assert (await api.post(f"{path}/r1/approve")).status_code == 204
        assert (await api.post(f"{path}/r1/dismiss")).status_code == 404
        await world.put(instance_id, phase=Phase.PENDING)
        assert (await api.get(path)).status_code == 409
        assert (await api.post(f"{path}/r1/approve")).status_code == 409
