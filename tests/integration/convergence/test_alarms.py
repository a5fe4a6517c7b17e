"""Alarms as the loop judges them, over a store and a fake cloud: told once, whatever fails in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from openclaw_hosted.controllers.alarms import AlarmsController
from openclaw_hosted.domain.alarms import AlarmNews, Limits, Told
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.errors import Denied, PortError, Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.volumes import LargeVolume
from tests.integration.convergence.world import World

pytestmark = pytest.mark.looptime


class Channel:
    """Keeps what it is told, unless it is `broken`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[tuple[str, Told]] = []
        self.broken: PortError | None = None

    async def tell(self, news: AlarmNews) -> None:
        if self.broken is not None:
            raise self.broken
        self.heard.append((news.alarm, news.happened))


class Watch:
    """A controller that looks once a minute."""

    def __init__(self, world: World, *channels: Channel) -> None:
        self.world = world
        self.options = replace(world.options, address="https://claw.example.com")
        self.ports = replace(world.ports(), alarms=world.store.alarms, alarm_channels=channels)

    async def minutes(self, count: int) -> None:
        """Let them pass, each with a look by a control plane that has just started."""
        for _ in range(count):
            await self.world.clock.sleep(60)
            await AlarmsController(self.ports, self.world.store.alarms, self.options).tick()

    async def on(self) -> Sequence[str]:
        return sorted(state.name for state in await self.world.store.alarms.list() if state.is_on)

    async def said(self) -> list[tuple[str, object]]:
        events = await self.world.store.platform.events(limit=500)
        return [(event.name, event.detail["alarm"]) for event in reversed(events) if event.name.startswith("alarm.")]


async def test_a_depleted_pool_is_told_once_and_so_is_its_end(world: World) -> None:
    mail, bot = Channel("email"), Channel("telegram")
    watch = Watch(world, mail, bot)
    await watch.minutes(5)
    assert (await watch.on(), mail.heard) == ([], [])
    await watch.minutes(30)
    assert await watch.on() == ["pool-depleted"]
    assert mail.heard == bot.heard == [("pool-depleted", Told.BEGAN)]
    async with world.running():
        await world.until_full()
    await watch.minutes(20)
    assert await watch.on() == []
    assert mail.heard == bot.heard == [("pool-depleted", Told.BEGAN), ("pool-depleted", Told.ENDED)]
    assert await watch.said() == [(EventName.ALARM_BEGAN, "pool-depleted"), (EventName.ALARM_ENDED, "pool-depleted")]


@pytest.mark.parametrize("error", [Unavailable("later"), Denied("never")], ids=["later", "never"])
async def test_a_channel_that_fails_is_tried_again_and_holds_up_no_other(world: World, error: PortError) -> None:
    mail, bot = Channel("email"), Channel("telegram")
    mail.broken = error
    watch = Watch(world, mail, bot)
    await watch.minutes(10)
    assert (mail.heard, bot.heard) == ([], [("pool-depleted", Told.BEGAN)])
    mail.broken = None
    await watch.minutes(3)
    assert mail.heard == bot.heard == [("pool-depleted", Told.BEGAN)]


async def test_each_condition_is_an_alarm_that_names_what_it_is_about(world: World) -> None:
    mail = Channel("email")
    watch = Watch(world, mail)
    watch.options = replace(
        watch.options, deployment=Deployment(), limits=Limits(budget_usd=10), policy=replace(watch.options.policy, spares=0)
    )
    await watch.minutes(1)
    assert await watch.on() == ["over-budget"]
    instance, now = InstanceId("oc-22222222"), world.clock.now()
    for name in [EventName.MACHINE_LAUNCH_FAILED] * 3 + [EventName.GATEWAY_HUNG]:
        await world.store.platform.add_event(Event(name, now, instance))
    watch.ports.volumes.large = [LargeVolume(world.ports().ids.volume_id(), instance, 3_000_000_000, 1_000_000)]  # type: ignore[attr-defined]
    await watch.minutes(1)
    assert await watch.on() == ["disk-full", "gateway-hangs", "launch-failures", "over-budget"]
    about = {state.name: state.about for state in await world.store.alarms.list()}
    assert (about["gateway-hangs"], about["disk-full"]) == ("oc-22222222", "oc-22222222 holds 3.0 GB")
    watch.options = replace(watch.options, limits=Limits())
    await watch.minutes(1)
    assert "over-budget" not in await watch.on()


async def test_the_loops_judge_by_themselves(world: World) -> None:
    world.options = replace(
        world.options,
        alarms_seconds=0.5,
        policy=replace(world.options.policy, spares=0),
        deployment=Deployment(),
        limits=Limits(budget_usd=1),
    )
    mail = Channel("email")
    ports = replace(world.ports(), alarms=world.store.alarms, alarm_channels=(mail,))
    world.ports = lambda: ports  # type: ignore[method-assign]
    async with world.running():
        while not mail.heard:
            await world.clock.sleep(0.1)
    assert mail.heard == [("over-budget", Told.BEGAN)]
