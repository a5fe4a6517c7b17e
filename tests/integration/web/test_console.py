"""The operator's console: what it says, what it finds, what can be done there and by the API, and that it never shows what is a user's."""

from __future__ import annotations

import csv
import html
import json
import re

import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.alarms import AlarmState
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import Bucket, Gauge, counted, rolled_up, sampled
from openclaw_hosted.domain.instance import Phase, StepName
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.measures import Calls, lasted
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.pool import PoolStatus
from openclaw_hosted.web.console import exports, lists
from openclaw_hosted.web.console.overview import WAYS_OUT
from tests.integration.web.conftest import BOT_TOKEN, SECRET_KEY, World


async def keep_some_history(world: World) -> None:
    """What the loop would have kept of the last hour."""
    now = world.clock.now()
    created = Event(EventName.INSTANCE_CREATED, now - 600, InstanceId("oc-22222222"))
    parts = [(now - 60 * ago, sampled({Gauge.READY: ago % 3, Gauge.WANTED: 2})) for ago in range(60)]
    counted_now, _ = await world.store.history.uncounted(1)
    gained = rolled_up([*parts, (now - 600, counted(created))])
    assert await world.store.history.add(gained, counted=counted_now, after=counted_now, now=now)


async def test_a_platform_where_all_is_well_says_so(world: World, admin: User) -> None:
    for _ in range(2):
        await world.add_machine(MachineState.AVAILABLE)
    async with world.browser(admin) as browser:
        page = (await browser.get("/admin")).text
    assert "All is well: 0 instances run, 2 of 2 spares are ready, and nobody waits." in page
    assert 'class="verdict good"' in page


async def test_what_is_wrong_stands_there_with_its_runbook_and_its_way_out(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner:
        await owner.create("Waits")
        failed = await owner.create("Broken")
    await world.put(failed, phase=Phase.FAILED, last_error="The key was refused.")
    await world.store.platform.set_pool(status=PoolStatus.STOPPED)
    async with world.browser(admin) as browser:
        page = (await browser.get("/admin")).text
        assert "Not all is well: 2 things need you now." in page
        assert 'href="/admin/runbooks/launch-failures"' in page
        assert 'form="resume"' in page
        assert page.index("The pool has stopped") < page.index("1 instance waits for a machine.")
        assert "The key was refused." in page
        assert (await browser.post("/admin/pool/resume", back="/admin")).headers["location"] == "/admin"
        assert (await browser.post("/admin/pool/resume", back="https://evil.example")).headers["location"] == "/"


@pytest.mark.parametrize("runbook", sorted({way.runbook for way in WAYS_OUT.values() if way.runbook}))
async def test_each_runbook_that_a_finding_names_is_a_page(world: World, admin: User, runbook: str) -> None:
    async with world.browser(admin) as browser:
        page = (await browser.get(f"/admin/runbooks/{runbook}")).text
        assert "What it means" in page
        assert (await browser.get("/admin/runbooks/no-such-thing")).status_code == 404
        assert (await browser.get("/admin/runbooks/..%2f..%2fCHANGELOG")).status_code == 404


async def test_plots_have_their_figures_as_a_table_too(world: World, admin: User) -> None:
    await keep_some_history(world)
    async with world.browser(admin) as browser:
        page = (await browser.get("/admin?range=1h")).text
        assert (await browser.get("/admin?range=2h")).status_code == 422
    data = json.loads(html.unescape(re.search(r'data-name="pool" data-plot="([^"]+)"', page)[1]))  # type: ignore[index]
    assert (data["step"], len(data["values"][0]), data["values"][1][-1]) == (60, 60, 2)
    assert data["first"] == int(world.clock.now() // 60 * 60 - 59 * 60)
    table = page.split('aria-label="Spares"')[1].split("</table>")[0]
    assert table.count("<tr>") == 1 + 60
    assert 'data-name="cost"' not in page


async def test_steps_and_calls_stand_there_where_there_are_any(world: World, admin: User) -> None:
    async with world.browser(admin) as browser, world.api(admin) as api:
        before = (await browser.get("/admin?range=1h")).text
        assert not any(words in before for words in ("How long each step took", "Calls to the cloud"))
        took = {StepName.GATEWAY: lasted(4.0) + lasted(40.0), StepName.SECRET: lasted(0.1)}
        calls = {"ec2:DescribeInstances": Calls(900), "ec2:CreateFleet": Calls(9, 2, 1)}
        now = world.clock.now()
        await world.store.history.add_tallied(rolled_up([(now - 60, Bucket(steps=took, calls=calls))]), now)
        page = (await browser.get("/admin?range=1h")).text
        whole = (await api.get("/history", params={"range": "1h"})).json()["whole"]
    table = page.split('aria-labelledby="steps-took"><table')[1].split("</table>")[0]
    assert re.findall(r'scope="row">([^<]+)</th><td class="number">(\d+)</td><td class="number">([^<]+)<', table) == [
        ("Store the keys", "1", "100 ms"), ("Start OpenClaw", "2", "5.0 s"),
    ]  # fmt: skip
    assert re.findall(r"<code>([^<]+<wbr>[^<]+)</code>", page) == ["ec2:<wbr>CreateFleet", "ec2:<wbr>DescribeInstances"]
    assert '<td class="number bad">2</td><td class="number warn">1</td>' in page
    assert 'data-name="calls"' in page
    assert whole["steps"]["gateway"] == {"count": 2, "total_seconds": 44.0, "p50_seconds": 5.0, "p95_seconds": 45.0}
    assert whole["calls"]["ec2:CreateFleet"] == {"made": 9, "errors": 2, "throttled": 1}


async def test_the_live_parts_answer_a_page_of_the_operators_only(world: World, admin: User, ada: User) -> None:
    async with world.browser(admin) as browser, world.browser(ada) as other:
        page = (await browser.get("/admin")).text
        live = html.unescape(re.search(r'data-live="([^"]+)"', page)[1])  # type: ignore[index]
        plots = html.unescape(re.search(r'data-plots="([^"]+)"', page)[1])  # type: ignore[index]
        script = {"Sec-Fetch-Dest": "empty"}
        for path in (live, plots):
            assert (await browser.get(path, **script)).status_code == 200
            assert (await browser.get(path.split("key=")[0] + "key=wrong", **script)).status_code == 403
            assert (await other.get(path, **script)).status_code == 403
        own = html.unescape(re.search(r"live\?key=([0-9a-f]+)", (await other.get(f"/instances/{await other.create()}")).text)[1])  # type: ignore[index]
        assert (await other.get(f"/admin/live?key={own}", **script)).status_code == 403
        assert "<html" not in (await browser.get(live, **script)).text


async def test_long_lists_come_in_pages_that_hold_all(world: World, admin: User, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PER_PAGE", 2)
    async with world.browser(ada) as owner:
        made = {await owner.create(f"Number {number}") for number in range(5)}
    seen: set[str] = set()
    async with world.browser(admin) as browser:
        path: str | None = "/admin/instances?q=number&order=oldest"
        while path is not None:
            page = (await browser.get(path)).text
            assert "of 5 instances that match" in page
            seen |= set(re.findall(r"<code>(oc-[a-z0-9]{8})</code>", page))
            following = re.search(r'href="([^"]+)" rel="next"', page)
            path = html.unescape(following[1]) if following else None
        assert "Nothing matches." in (await browser.get("/admin/instances?q=nobody")).text
        assert (await browser.get("/admin/instances?q=%00")).status_code == 422
        assert (await browser.get(f"/admin/events?name={'x' * 101}")).status_code == 422
        assert (await browser.get("/admin/events?since=yesterday")).status_code == 422
    assert seen == made


async def test_a_download_holds_all_and_no_formula(world: World, admin: User, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    async with world.browser(ada) as owner:
        for name in ("=HYPERLINK(1)", "Plain", "@cmd"):
            await owner.create(name)
    async with world.browser(admin) as browser:
        answer = await browser.get("/admin/instances.csv?order=oldest")
        events = list(csv.DictReader((await browser.get("/admin/events.csv?name=instance")).text.splitlines()))
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert sorted(row["name"] for row in rows) == ["'=HYPERLINK(1)", "'@cmd", "Plain"]
    assert {row["owner"] for row in rows} == {ada.email}
    assert answer.headers["content-disposition"] == 'attachment; filename="instances.csv"'
    assert [event["name"] for event in events] == ["instance.created"] * 3


async def test_an_operator_sees_a_life_and_never_a_key_or_a_log(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner:
        instance_id = await owner.create("Mine", provider="openai", modelApiKey=SECRET_KEY, channels="telegram", telegramBotToken=BOT_TOKEN)
    await world.run(instance_id)
    machine_id = (await world.row(instance_id)).machine_id
    async with world.browser(admin) as browser:
        seen = (await browser.get(f"/admin/instances/{instance_id}")).text
        machine = (await browser.get(f"/admin/machines/{machine_id}")).text
        assert (await browser.get("/admin/instances/oc-22222222")).status_code == 404
        assert (await browser.get("/admin/machines/nothing")).status_code == 404
        assert (await browser.get(f"/instances/{instance_id}")).status_code == 404
    assert "Instance created" in seen
    assert ada.email in machine
    assert "$" not in machine
    for page in (seen, machine):
        assert SECRET_KEY not in page
        assert BOT_TOKEN not in page


async def test_an_operator_drains_and_replaces_machines(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner:
        ids = [await owner.create(name) for name in ("One", "Two")]
    machines = []
    for instance_id in ids:
        await world.run(instance_id)
        machines.append(str((await world.row(instance_id)).machine_id))
    async with world.browser(admin) as browser:
        for machine_id, action, notice in zip(machines, ("drain", "replace"), ("drain", "interruption"), strict=True):
            assert (await browser.post(f"/admin/machines/{machine_id}/{action}")).status_code == 303
            assert (await world.store.machines.get(MachineId(machine_id))).notice == notice
        refused = await browser.post(f"/admin/machines/{machines[0]}/retire")
        assert refused.status_code == 409
        assert "delete the instance instead" in html.unescape(refused.text)
        assert (await browser.post(f"/admin/machines/{machines[0]}/explode")).status_code == 422


async def test_an_operator_holds_a_placement_and_has_it_retried(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as owner, world.browser(admin) as browser, world.api(admin) as api, world.api(ada) as user:
        instance_id = await owner.create("Waits")
        assert (await browser.post(f"/admin/instances/{instance_id}/hold")).status_code == 303
        held = await world.row(instance_id)
        assert (held.phase, held.last_error) == (Phase.FAILED, "The operator holds it for now.")
        refused = await browser.post(f"/admin/instances/{instance_id}/hold")
        assert (refused.status_code, "only what is being placed" in refused.text) == (409, True)
        assert (await browser.post(f"/admin/instances/{instance_id}/retry")).status_code == 303
        assert (await world.row(instance_id)).phase is Phase.REPLACING
        assert (await user.post(f"/instances/{instance_id}/hold")).status_code == 403
        assert (await api.post(f"/instances/{instance_id}/hold")).json()["phase"] == "failed"
        assert (await api.post(f"/instances/{instance_id}/retry")).json()["phase"] == "replacing"
        assert (await api.post("/instances/oc-22222222/retry")).status_code == 404
    said = [event.name for event in await world.store.platform.events(instance_id=InstanceId(instance_id))]
    assert said.count(EventName.INSTANCE_HELD) == said.count(EventName.INSTANCE_RESTART_ASKED) == 2


async def test_the_pool_goes_back_to_what_the_settings_say(world: World, admin: User) -> None:
    async with world.browser(admin) as browser, world.api(admin) as api:
        assert "as configured" not in (await browser.get("/admin/pool")).text
        assert (await api.patch("/pool", json={"spares": 7})).json()["spares_wanted"] == 7
        assert "Back to 2, as configured" in (await browser.get("/admin/pool")).text
        assert (await browser.post("/admin/pool/follow")).status_code == 303
        assert (await world.store.platform.pool_memory()).spares is None
        await api.patch("/pool", json={"spares": 7})
        assert (await api.patch("/pool", json={"spares": None})).json()["spares_wanted"] == 2
        assert (await api.patch("/pool", json={})).status_code == 422
    changes = [event.detail for event in await world.store.platform.events() if event.name is EventName.POOL_SPARES_CHANGED]
    assert changes == [{"before": 7, "after": 2}, {"before": 2, "after": 7}] * 2


async def test_the_api_tells_the_overview_and_the_history(world: World, admin: User, ada: User) -> None:
    await keep_some_history(world)
    async with world.api(admin) as api, world.api(ada) as user:
        now = (await api.get("/overview")).json()
        assert (now["severity"], [each["kind"] for each in now["findings"]]) == ("warn", ["no_spares"])
        history = (await api.get("/history", params={"range": "1h"})).json()
        assert (history["step_seconds"], len(history["items"])) == (60, 60)
        assert history["items"][-1]["gauges"]["wanted"] == {"mean": 2.0, "lowest": 2.0, "highest": 2.0}
        assert sum(item["counts"].get("creates", 0) for item in history["items"]) == 1
        assert (await api.get("/history", params={"range": "2h"})).status_code == 422
        assert (await user.get("/overview")).status_code == 403


async def test_an_alarm_that_is_on_stands_on_the_overview_once_with_since_when_and_its_runbook(world: World, admin: User) -> None:
    now = world.clock.now()
    on = [AlarmState("pool-depleted", now - 900, None, now - 600, value=0.0), AlarmState("over-budget", now, None, now, value=97.5)]
    await world.store.alarms.save(on, ())
    async with world.browser(admin) as browser, world.api(admin) as api:
        page = (await browser.get("/admin")).text
        told = (await api.get("/overview")).json()
    depleted, budget = told["findings"]
    assert (depleted["kind"], depleted["severity"], budget["kind"]) == ("no_spares", "bad", "alarm")
    assert (depleted["runbook"], budget["runbook"]) == ("pool-depleted", "over-budget")
    assert depleted["alarms"] == [{"name": "pool-depleted", "began_at": "2026-09-21T14:03:20Z", "well_since": None}]
    assert told["cost"] is None
    assert page.count("Alarm <strong>pool-depleted</strong> since") == 1
    assert 'href="/admin/runbooks/over-budget"' in page
    assert "this month" not in page


async def test_the_month_is_measured_against_the_budget_if_there_is_one(world: World, admin: User) -> None:
    now, limited = world.clock.now(), World(world.store, budget_usd=83.0)
    hour = int(now // 3600) * 3600
    kept = rolled_up([(hour - 7200 + 60 * minute, sampled({Gauge.COST: 0.5})) for minute in range(120)])
    before, _ = await world.store.history.uncounted(1)
    assert await world.store.history.add(kept, counted=before, after=before, now=now)
    await world.store.alarms.save([AlarmState("over-budget", value=70.25)], ())
    async with limited.browser(admin) as browser, limited.api(admin) as api:
        page = (await browser.get("/admin")).text
        told = (await api.get("/overview")).json()["cost"]
    assert told == {"spent_usd": 1.0, "budget_usd": 83.0, "usd_per_month": 70.25}
    assert "<dt>Spent this month, of $83</dt><dd>$1</dd>" in page
    assert "<dt>A month at this rate</dt><dd>$70</dd>" in page
