"""Alarms and costs by the API: what is on, a test message to who is told, a budget that stops creates, and what machines ran."""

from __future__ import annotations

from dataclasses import replace

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.alarms import ALARMS, AlarmNews, AlarmState, Told
from openclaw_hosted.domain.errors import Denied
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import DAY_SECONDS, Bucket, Count, rolled_up
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from tests.integration.web.conftest import World


class Channel:
    def __init__(self, name: str, problem: Exception | None = None) -> None:
        self.name = name
        self.problem = problem
        self.heard: list[AlarmNews] = []

    async def tell(self, news: AlarmNews) -> None:
        if self.problem is not None:
            raise self.problem
        self.heard.append(news)


async def test_all_alarms_are_listed_those_first_that_are_on(world: World, admin: User, ada: User) -> None:
    now = world.clock.now()
    await world.store.alarms.save([AlarmState("disk-full", now, None, now, None, 1.0, "oc-22222222", {"email": Told.BEGAN})], ())
    async with world.api(admin) as api, world.api(ada) as users:
        found = (await api.get("/alarms")).json()
        assert (await users.get("/alarms")).status_code == 403
        assert (await users.post("/alarms/test")).status_code == 403
    assert {item["name"] for item in found["items"]} == {alarm.name for alarm in ALARMS}
    first, *others = found["items"]
    assert (first["name"], first["on"], first["about"], first["told"]) == ("disk-full", True, "oc-22222222", {"email": "began"})
    assert first["began_at"].startswith("2026-09-21T")
    assert first["runbook"] == "docs/runbooks/disk-full.md"
    assert not any(item["on"] for item in others)
    assert found["channels"] == []
    limits = {item["name"]: item["limit"] for item in found["items"]}
    assert (limits["pool-depleted"], limits["over-budget"]) == (1, None)


async def test_a_test_message_says_which_channel_works(world: World, admin: User) -> None:
    mail, bot = Channel("email"), Channel("telegram", Denied("Telegram refused with 401."))
    world.channels += [mail, bot]
    async with world.api(admin) as api:
        answer = (await api.post("/alarms/test")).json()["items"]
    assert answer == [{"channel": "email", "problem": None}, {"channel": "telegram", "problem": "Telegram refused with 401."}]
    assert [news.alarm for news in mail.heard] == ["test"]


async def test_a_budget_that_is_reached_stops_creates_only_where_that_is_wanted(world: World, ada: User) -> None:
    on = AlarmState("over-budget", began_at=world.clock.now(), value=90.0)
    await world.store.alarms.save([on], ())
    body = {"name": "Mine"}
    async with world.api(ada) as api:
        assert (await api.post("/instances", json=body)).status_code == 202
        stopped = replace(world.kit, instances=replace(world.kit.instances, budget=world.store.alarms))
        world.app.state.web = replace(world.app.state.web, services=stopped)
        refused = await api.post("/instances", json=body)
        assert refused.status_code in (403, 409, 429)
        assert "budget" in refused.text
        assert "90" not in refused.text
        await world.store.alarms.save([replace(on, ended_at=world.clock.now())], ())
        assert (await api.post("/instances", json=body)).status_code == 202


async def test_what_machines_ran_is_told_by_user(world: World, admin: User, ada: User) -> None:
    async with world.api(ada) as api:
        instance_id = (await api.post("/instances", json={"name": "Mine"})).json()["id"]
        assert (await api.get("/cost/usage")).status_code == 403
    await world.run(instance_id)
    await world.add_machine(MachineState.AVAILABLE)
    world.clock.at += 7200
    async with world.api(admin) as api:
        found = (await api.get("/cost/usage")).json()
        assert (await api.get("/cost/usage", params={"month": "yesterday"})).status_code == 422
        plans = (await api.get("/cost/plans", params={"users": 25})).json()["items"]
    assert found["month"] == "2026-09"
    by_owner = {item["owner"]: (item["machines"], item["machine_seconds"], item["usd"]) for item in found["items"]}
    assert by_owner == {"ada@example.com": (1, 7200.0, None), None: (1, 7200.0, None)}
    assert plans[0]["usd"] > plans[-1]["usd"]


async def test_a_week_of_arrivals_is_replayed(world: World, admin: User) -> None:
    now = world.clock.now()
    for number in range(30):
        machine = MachineId(f"mc-{number}")
        await world.store.platform.add_event(Event(EventName.MACHINE_LAUNCHED, now + number, machine_id=machine))
        await world.store.platform.add_event(Event(EventName.MACHINE_AVAILABLE, now + number + 90, machine_id=machine))
        await world.store.platform.add_event(Event(EventName.INSTANCE_CREATED, now - number * 3600, InstanceId("oc-22222222")))
    async with world.api(admin) as api:
        answer = (await api.get("/pool/advice")).json()
    async with world.browser(admin) as browser:
        page = (await browser.client.get("/admin/pool")).text
    found = answer["advice"]
    assert (found["arrivals"], found["boot_seconds"], found["now"]["misses"]) == (30, 90, 0)
    assert (found["best"]["by_day"], found["best"]["by_night"], found["best"]["misses"], found["spares_saved"]) == (1, 1, 0, 1)
    assert answer["sentence"] == (
        "With what you saw last week, 1 spare by day and night would have missed 0 of 30 and kept 1 fewer on average. "
        "2 spares by day and night would have missed 0."
    )
    assert answer["sentence"] in page
    assert (answer["policy"], answer["learned"], found["usd_saved"]) == ("fixed", None, None)
    assert "hour of the week" not in page


async def test_where_machines_cost_the_advice_says_how_much(world: World, admin: User) -> None:
    billed = World(world.store, billed=True)
    now = billed.clock.now()
    for number in range(30):
        await billed.store.platform.add_event(Event(EventName.INSTANCE_CREATED, now - number * 3600, InstanceId("oc-22222222")))
    async with billed.api(admin) as api:
        answer = (await api.get("/pool/advice")).json()
    assert answer["advice"]["usd_saved"] == 2.27
    assert "would have missed 0 of 30 and saved $2.27." in answer["sentence"]


async def test_what_was_learned_is_shown_by_the_hour(world: World, admin: User) -> None:
    midnight = world.clock.now() // DAY_SECONDS * DAY_SECONDS
    for day in range(1, 22):
        for minute in range(2):
            at = midnight - day * DAY_SECONDS + 10 * 3600 + minute
            await world.store.platform.add_event(Event(EventName.INSTANCE_CREATED, at, InstanceId("oc-22222222")))
    counts = {midnight - hour * 3600: 2 if hour % 24 == 14 else 0 for hour in range(1, 21 * 24 + 1)}
    gained = rolled_up((at, Bucket(counts={Count.CREATES: count})) for at, count in counts.items())
    counted, _ = await world.store.history.uncounted(1)
    assert await world.store.history.add(gained, counted=counted, after=counted, now=midnight)
    async with world.api(admin) as api:
        learned = (await api.get("/pool/advice")).json()["learned"]
    async with world.browser(admin) as browser:
        page = (await browser.client.get("/admin/pool")).text
    assert learned["hours"] == ([1] * 8 + [2] * 4 + [1] * 12) * 7
    assert learned["misses"] == 0
    assert "1 to 2 spares by hour of the week, 1.2 on average" in page
    assert page.count('scope="row">') == 7
