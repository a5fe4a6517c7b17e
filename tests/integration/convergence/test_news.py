"""Refused keys, and letters to users, as the loops find and send them: over a store, a fake cloud and a real mail server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from openclaw_hosted.adapters.fake.cloud import FakeMachine
from openclaw_hosted.adapters.fake.compute import FakeGateways
from openclaw_hosted.adapters.mail import MailServer as Server
from openclaw_hosted.adapters.mail import SmtpMailer
from openclaw_hosted.controllers import Ports
from openclaw_hosted.controllers.keys import IN_TURN_SECONDS, LATE_SECONDS, KeysController
from openclaw_hosted.controllers.letters import REST_SECONDS, LettersController
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.alarms import AlarmState, Limits
from openclaw_hosted.domain.errors import Denied, Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.letters import PAUSE_SECONDS
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.usage import DayOfUse
from openclaw_hosted.store import tables
from tests.integration.convergence.world import OWNER, World
from tests.support.mail import MailServer
from tests.support.ports import free_port
from tests.support.serving import serving

pytestmark = pytest.mark.looptime
ADDRESS = "https://claw.example.com"
REFUSAL = "401 Incorrect API key provided: sk-●●●"


class Evening:
    """A platform with one instance that has a key, and a mail server."""

    def __init__(self, world: World, mail: MailServer) -> None:
        self.world, self.mail, self.store = world, mail, world.store
        self.options = replace(world.options, lease_seconds=1e4, address=ADDRESS, limits=Limits(budget_stops=True))
        self.ports: Ports = replace(world.ports(), alarms=world.store.alarms)
        self.keys = KeysController(self.ports, world.store.news, self.options)
        self.send_to(mail.port)
        self.used = 0
        self.instance: Instance
        self.machine: FakeMachine

    def send_to(self, port: int) -> None:
        mailer = SmtpMailer(Server("127.0.0.1", port, implicit_tls=False, is_here=True), "claw@example.com")
        self.letters = LettersController(self.ports, self.store.news, mailer, self.options)

    async def begin(self) -> None:
        async with self.world.running(alone=True):
            created = await self.world.create()
            self.instance = await self.world.until_phase(created.id, Phase.RUNNING)
        await self.put(credential_names=f'["{Credential.MODEL_API_KEY}"]')
        assert self.instance.machine_id is not None
        machine = await self.store.machines.get(self.instance.machine_id)
        self.machine = self.world.cloud.machine(machine.provider_ref or "")

    async def put(self, **columns: object) -> None:
        change = tables.instances.update().where(tables.instances.c.id == self.instance.id).values(**columns)
        async with self.store.database.write() as connection:
            await connection.execute(change)

    async def subscribe(self) -> None:
        event = Event(EventName.USER_MAIL_CHANGED, self.now, user_id=OWNER)
        await self.store.news.subscribe(OWNER, self.now, event)

    async def pass_time(self, seconds: float = PAUSE_SECONDS + 1) -> None:
        """And look at keys and letters."""
        await self.world.clock.sleep(seconds)
        await self.keys.tick()
        await self.letters.tick()

    def says(self, text: str) -> None:
        self.machine.log.append(f"{datetime.fromtimestamp(self.now, UTC):%Y-%m-%d %H:%M:%S} ERROR [agent] {text}")

    async def events(self) -> list[EventName]:
        found = await self.store.platform.events(instance_id=self.instance.id, limit=500)
        return [event.name for event in reversed(found) if "key" in event.name]

    def calls(self) -> Counter[str]:
        """Of each call about a log, how often it is made from now on."""
        counted = Counter[str]()

        async def count(call: str, when: str) -> None:
            if when == "before" and call in ("gateways.find_lines", "gateways.logs"):
                counted[call] += 1

        self.world.cloud.hook = count
        return counted

    @property
    def now(self) -> float:
        return self.world.clock.now()

    @property
    def subjects(self) -> list[str]:
        return [str(each.message["Subject"]) for each in self.mail.received]


@pytest.fixture
def evening(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Evening]:
    with serving(MailServer()) as mail:
        made = Evening(world, mail)

        async def usage(*_: object) -> list[DayOfUse]:
            return [DayOfUse(f"{datetime.fromtimestamp(made.now, UTC):%Y-%m-%d}", made.used, 0.0)]

        monkeypatch.setattr(FakeGateways, "usage", usage)
        yield made


ways = pytest.mark.parametrize("searches", [False, True], ids=["one by one", "searched"])


@ways
async def test_a_refused_key_is_seen_once_and_ends_once_the_model_answers(evening: Evening, searches: bool) -> None:
    evening.world.cloud.searches_logs = searches
    await evening.begin()
    await evening.pass_time(60)
    evening.says(REFUSAL)
    for _ in range(3):
        await evening.pass_time(60)
    assert list(await evening.store.news.refusals()) == [evening.instance.id]
    evening.used = 40
    await evening.pass_time(60)
    for _ in range(2):
        assert await evening.store.news.refusals() == {}, "the line is in the log still, and is no news"
        assert await evening.events() == [EventName.INSTANCE_KEY_REFUSED, EventName.INSTANCE_KEY_REFUSAL_OVER]
        await evening.pass_time(60)
    evening.says(REFUSAL)
    await evening.pass_time(60)
    assert len(await evening.store.news.refusals()) == 1


async def test_where_logs_are_searched_only_one_that_may_tell_of_a_refusal_is_read(evening: Evening) -> None:
    evening.world.cloud.searches_logs = True
    await evening.begin()
    await evening.pass_time(60)
    calls = evening.calls()
    await evening.pass_time(60)
    assert calls == {"gateways.find_lines": 1}
    evening.says("the API key of another service, 401 bytes long")
    await evening.pass_time(60)
    assert calls == {"gateways.find_lines": 2}, "its words say that it is none"
    evening.says(REFUSAL)
    for _ in range(3):
        await evening.pass_time(60)
    assert calls["gateways.logs"] == 1
    assert list(await evening.store.news.refusals()) == [evening.instance.id]


async def test_where_logs_are_searched_each_is_read_now_and_then_all_the_same(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    evening.world.cloud.searches_logs = True
    await evening.begin()

    async def nothing(*_: object) -> dict[InstanceId, list[str]]:
        return {}

    monkeypatch.setattr(FakeGateways, "find_lines", nothing)
    await evening.pass_time(60)
    evening.says(REFUSAL)
    calls = evening.calls()
    await evening.pass_time(IN_TURN_SECONDS)
    assert calls["gateways.logs"] == 1
    assert list(await evening.store.news.refusals()) == [evening.instance.id]


async def test_a_line_that_another_machine_wrote_is_no_proof(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    evening.world.cloud.searches_logs = True
    await evening.begin()
    told = f"{datetime.fromtimestamp(evening.now + 1, UTC):%Y-%m-%d %H:%M:%S} ERROR {REFUSAL}"

    async def forged(*_: object) -> dict[InstanceId, list[str]]:
        return {evening.instance.id: [told]}

    await evening.pass_time(60)
    monkeypatch.setattr(FakeGateways, "find_lines", forged)
    calls = evening.calls()
    for _ in range(3):
        await evening.pass_time(60)
    assert calls["gateways.logs"] == 1, "it is looked at once"
    assert await evening.store.news.refusals() == {}


async def test_where_logs_can_not_be_searched_now_they_are_read_and_later_searched_from_where_it_stopped(evening: Evening) -> None:
    evening.world.cloud.searches_logs = True
    await evening.begin()
    await evening.pass_time(60)
    calls = evening.calls()
    evening.world.cloud.fail_next("gateways.find_lines", Denied("logs:FilterLogEvents is not allowed."))
    evening.world.cloud.fail_next("gateways.logs", Unavailable("The machine does not answer."))
    evening.says(REFUSAL)
    await evening.pass_time(60)
    assert (calls["gateways.logs"], await evening.store.news.refusals()) == (1, {})
    await evening.pass_time(60)
    assert len(await evening.store.news.refusals()) == 1


async def test_a_suspicion_stays_until_its_log_was_read(evening: Evening) -> None:
    evening.world.cloud.searches_logs = True
    await evening.begin()
    await evening.pass_time(60)
    evening.says(REFUSAL)
    evening.world.cloud.fail_next("gateways.logs", Unavailable("The machine does not answer."))
    await evening.pass_time(60)
    assert await evening.store.news.refusals() == {}
    await evening.pass_time(3 * LATE_SECONDS)
    assert len(await evening.store.news.refusals()) == 1


@ways
async def test_a_refusal_ends_with_another_key_and_with_the_instance(evening: Evening, searches: bool) -> None:
    evening.world.cloud.searches_logs = searches
    await evening.begin()
    await evening.pass_time(60)
    evening.says(REFUSAL)
    await evening.pass_time(60)
    await evening.put(phase_changed_at=evening.now)
    await evening.pass_time(60)
    assert await evening.store.news.refusals() == {}
    evening.says(REFUSAL)
    await evening.pass_time(60)
    assert len(await evening.store.news.refusals()) == 1
    await evening.put(phase=Phase.DELETING)
    await evening.pass_time(60)
    assert await evening.store.news.refusals() == {}


async def test_an_instance_without_a_key_is_not_looked_at(evening: Evening) -> None:
    await evening.begin()
    await evening.put(credential_names="[]")
    evening.says(REFUSAL)
    await evening.pass_time(60)
    assert await evening.store.news.refusals() == {}


async def test_a_user_is_told_what_is_new_once_and_seldom_if_they_wish(evening: Evening) -> None:
    await evening.begin()
    await evening.put(phase=Phase.FAILED, phase_changed_at=evening.now, last_error="OpenClaw refused its settings.")
    await evening.pass_time()
    assert evening.mail.received == []
    await evening.subscribe()
    for _ in range(3):
        await evening.pass_time()
    [letter] = evening.mail.received
    assert (letter.sender, letter.recipients, evening.subjects) == ("claw@example.com", ("owner@example.com",), ["n0 has failed"])
    assert letter.message["List-Unsubscribe"] == f"<{ADDRESS}/account#news>"
    text = letter.message.get_content()
    assert "OpenClaw refused its settings." in text
    assert f"{ADDRESS}/instances/{evening.instance.id}" in text
    await evening.put(phase=Phase.RUNNING, phase_changed_at=evening.now)
    for name in (EventName.INSTANCE_MOVING, EventName.INSTANCE_RUNNING):
        await evening.store.platform.add_event(Event(name, evening.now, evening.instance.id))
    await evening.pass_time(60)
    evening.says(REFUSAL)
    await evening.pass_time(60)
    assert evening.subjects == ["n0 has failed", "n0 moved to another machine"]
    await evening.pass_time(60)
    assert len(evening.mail.received) == 2, "no two letters within ten minutes"
    await evening.pass_time()
    assert evening.subjects[2:] == ["n0 needs another API key"]
    assert all(f"To turn it off: {ADDRESS}/account#news" in each.message.get_content() for each in evening.mail.received)
    assert "sk-" not in "".join(each.message.get_content() for each in evening.mail.received)


async def test_a_newer_openclaw_and_a_reached_budget_are_told(evening: Evening) -> None:
    await evening.begin()
    evening.options = replace(evening.options, policy=replace(evening.options.policy, image="v2"))
    evening.send_to(evening.mail.port)
    await evening.subscribe()
    await evening.store.alarms.save([AlarmState("over-budget", began_at=evening.now)], ())
    await evening.pass_time()
    await evening.pass_time()
    [letter] = evening.mail.received
    assert evening.subjects == ["n0 will be upgraded, and 1 more"]
    assert "OpenClaw v2" in letter.message.get_content()
    assert "nobody can create an instance" in letter.message.get_content()


async def test_a_mail_server_that_is_away_stops_nothing_and_is_asked_again(evening: Evening) -> None:
    await evening.begin()
    await evening.subscribe()
    await evening.put(phase=Phase.FAILED, phase_changed_at=evening.now)
    evening.send_to(free_port())
    await evening.pass_time()
    evening.send_to(evening.mail.port)
    await evening.pass_time(60)
    assert evening.subjects == ["n0 has failed"]


async def test_a_user_whose_letters_are_put_off_keeps_none_from_others(evening: Evening) -> None:
    await evening.begin()
    await evening.subscribe()
    other = UserId("us-zoe")
    await evening.store.accounts.add_user(User(other, "zoe@example.com", Role.USER, 1.0), None, None)
    await evening.store.news.subscribe(other, evening.now, Event(EventName.USER_MAIL_CHANGED, evening.now, user_id=other))
    await evening.store.alarms.save([AlarmState("over-budget", began_at=evening.now)], ())
    evening.mail.puts_off = "owner@example.com"
    await evening.pass_time()
    await evening.pass_time(60)
    assert [each.recipients for each in evening.mail.received] == [("zoe@example.com",)]
    evening.mail.puts_off = None
    await evening.pass_time(60)
    assert [each.recipients for each in evening.mail.received] == [("zoe@example.com",), ("owner@example.com",)]


async def test_an_address_that_is_refused_rests_for_an_hour(evening: Evening) -> None:
    await evening.begin()
    await evening.subscribe()
    await evening.put(phase=Phase.FAILED, phase_changed_at=evening.now)
    evening.mail.refuse = "550 5.7.1 never"
    await evening.pass_time()
    evening.mail.refuse = None
    await evening.pass_time(60)
    assert evening.mail.received == []
    await evening.pass_time(REST_SECONDS)
    assert evening.subjects == ["n0 has failed"]
