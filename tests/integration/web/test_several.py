"""One action on several rows of the console's lists."""

from __future__ import annotations

import html
import re

import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.services.several import MOST
from tests.integration.web.conftest import World


def address(action: str, *ids: str) -> str:
    return f"/admin/several?action={action}" + "".join(f"&id={each}" for each in ids)


def asked_for(page: str) -> list[str]:
    """What the form of a preview would send."""
    return re.findall(r'type="hidden" name="id" value="([^"]+)"', page)


async def test_both_lists_have_a_mark_in_each_row_and_buttons_that_need_no_script(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner:
        instance_id = await owner.create("Mine")
    machine_id = await world.add_machine(MachineState.AVAILABLE)
    async with world.browser(admin) as browser:
        for path, chosen, actions in (("instances", instance_id, ("retry", "hold")), ("pool", machine_id, ("drain", "retire"))):
            page = (await browser.get(f"/admin/{path}")).text
            assert f'<input type="checkbox" name="id" value="{chosen}" form="several">' in page
            assert all(f'name="action" value="{action}"' in page for action in actions)
            assert '<form id="several" class="several actions" method="get" action="/admin/several">' in page


async def test_a_preview_names_what_happens_to_which_and_changes_nothing(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner:
        instance_id = await owner.create("Novel <b>")
    await world.run(instance_id)
    used, spare = str((await world.row(instance_id)).machine_id), await world.add_machine(MachineState.AVAILABLE)
    async with world.browser(admin) as browser:
        before = len(await world.store.platform.events())
        page = (await browser.get(address("retire", spare, used, "mc-gone", spare))).text
        drain = (await browser.get(address("drain", used))).text
    assert "Retire 1 machine?" in page
    assert asked_for(page) == [spare]
    left_out = html.unescape(page.split("Left out")[1])
    assert "delete the instance instead" in left_out
    assert "It is not there any more." in left_out
    assert f"with Novel &lt;b&gt; of {ada.email}" in drain
    assert "is away for some seconds" in drain
    assert len(await world.store.platform.events()) == before


async def test_all_of_it_is_done_and_written_down_by_whom(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner:
        ids = [await owner.create(name) for name in ("One", "Two")]
    for instance_id in ids:
        await world.run(instance_id)
    machines = [str((await world.row(instance_id)).machine_id) for instance_id in ids]
    async with world.browser(admin) as browser:
        done = await browser.post("/admin/several", action="drain", id=machines)
        assert (done.status_code, done.headers["location"]) == (303, "/admin/pool?done=several")
        assert "Done. The list shows each change as it happens." in (await browser.get("/admin/pool?done=several")).text
        again = html.unescape((await browser.get(address("drain", *machines))).text)
    assert "Nothing to drain" in again
    assert again.count("was asked before") == 2
    for machine_id in machines:
        assert (await world.store.machines.get(MachineId(machine_id))).notice is NoticeKind.DRAIN
    noticed = [event for event in await world.store.platform.events() if event.name is EventName.MACHINE_NOTICED]
    assert [event.actor.id for event in noticed if event.actor] == [admin.id, admin.id]


async def test_a_partial_failure_says_which_and_why_and_keeps_no_other_from_being_done(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner:
        waits, runs = await owner.create("Waits"), await owner.create("Runs")
    await world.run(runs)
    async with world.browser(admin) as browser:
        answer = await browser.post("/admin/several", action="hold", id=[runs, waits])
        page = html.unescape(answer.text)
        assert (answer.status_code, "1 instance not held" in page) == (409, True)
        assert page.index("Runs") < page.index("only what is being placed") < page.index("Done as asked") < page.index("Waits")
        assert (await world.row(waits)).phase is Phase.FAILED
        assert (await browser.post("/admin/several", action="retry", id=[waits])).headers["location"] == "/admin/instances?done=several"
        assert (await world.row(waits)).phase is Phase.REPLACING
    assert (await world.row(runs)).phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (address("drain"), "Mark at least one row of the list."),
        (address("hold", *(f"oc-{number}" for number in range(MOST + 1))), f"Mark at most {MOST} rows."),
        (address("explode", "mc-1"), "Choose among drain, retire, retry, hold."),
    ],
    ids=["none", "too many", "no such action"],
)
async def test_what_can_not_be_asked_is_said(world: World, admin: User, path: str, said: str) -> None:
    async with world.browser(admin) as browser:
        answer = await browser.get(path)
    assert (answer.status_code, said in answer.text) == (422, True)


async def test_ids_of_no_kind_are_left_out(world: World, admin: User, ada: User) -> None:
    async with world.browser(admin) as browser, world.browser(ada) as other:
        assert "Nothing to hold" in (await browser.get(address("hold", "%00", "x" * 500))).text
        assert (await other.get(address("hold", "oc-22222222"))).status_code == 403
        assert (await other.post("/admin/several", action="hold", id="oc-22222222")).status_code == 403


async def test_the_api_does_it_to_several_and_says_what_became_of_each(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner:
        waiting, gone = await owner.create("Waits"), "oc-22222222"
    spare = str(await world.add_machine(MachineState.AVAILABLE))
    async with world.api(admin) as api:
        before = len(await world.store.platform.events())
        asked = await api.post("/several", json={"action": "hold", "ids": [waiting, gone], "dry_run": True})
        assert len(await world.store.platform.events()) == before
        assert (await world.row(waiting)).phase is Phase.PENDING
        done = await api.post("/several", json={"action": "hold", "ids": [waiting, gone]})
        expected = {"id": waiting, "instance_id": waiting, "instance_name": "Waits", "owner": ada.email, "problem": None}
        for answer in (asked, done):
            assert answer.status_code == 200
            first, second = answer.json()["items"]
            assert first == expected
            assert (second["id"], "not there any more" in second["problem"]) == (gone, True)
        assert (await world.row(waiting)).phase is Phase.FAILED
        [held] = [event for event in await world.store.platform.events() if event.name is EventName.INSTANCE_HELD]
        assert held.actor is not None
        assert held.actor.id == admin.id
        [item] = (await api.post("/several", json={"action": "retire", "ids": [spare]})).json()["items"]
        assert (item["id"], item["instance_id"], item["problem"]) == (spare, None, None)
        for wrong in (
            {"action": "dance", "ids": [spare]},
            {"action": "drain", "ids": []},
            {"action": "drain", "ids": [spare] * (MOST + 1)},
        ):
            refused = await api.post("/several", json=wrong)
            assert (refused.status_code, refused.json()["errors"][0]["field"] in ("action", "ids")) == (422, True)
    async with world.api(ada) as api:
        assert (await api.post("/several", json={"action": "drain", "ids": [spare]})).status_code == 403
