"""What a store keeps of how the platform did."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import DAY_SECONDS, KEPT_SECONDS, Bucket, Count, Gauge, Resolution, rolled_up, sampled
from openclaw_hosted.domain.instance import StepName
from openclaw_hosted.domain.measures import Calls, lasted
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.store import Store
from tests.support.life import NOW

from .make import OWNER, add_machines, an_event, create

TODAY = Resolution.DAY.start_of(NOW)
ONE = Bucket(counts={Count.CREATES: 1})


async def added(store: Store, at: float, bucket: Bucket = ONE, now: float = NOW) -> None:
    counted, _ = await store.history.uncounted(1)
    assert await store.history.add(rolled_up([(at, bucket)]), counted=counted, after=counted, now=now)


async def test_buckets_add_up_in_each_resolution(store: Store) -> None:
    for _ in range(3):
        await added(store, NOW, ONE + sampled({Gauge.READY: 2}))
    for resolution in KEPT_SECONDS:
        found = await store.history.between(resolution, TODAY, TODAY + DAY_SECONDS)
        assert list(found) == [resolution.start_of(NOW)]
        (bucket,) = found.values()
        assert (bucket.counts[Count.CREATES], bucket.gauges[Gauge.READY].samples, bucket.gauges[Gauge.READY].mean) == (3, 3, 2)


async def test_an_event_is_counted_once_whoever_comes_second(store: Store, replica: Store) -> None:
    await store.platform.add_event(an_event())
    (before, events), seen_there = await store.history.uncounted(10), await replica.history.uncounted(10)
    assert (before, [event.name for event in events]) == (0, [EventName.MACHINE_CONDEMNED])
    assert (before, events) == seen_there
    newest = events[-1].id
    assert newest is not None
    gained = rolled_up([(NOW, ONE)])
    assert await store.history.add(gained, counted=newest, after=before, now=NOW)
    assert not await replica.history.add(gained, counted=newest, after=before, now=NOW)
    assert await replica.history.uncounted(10) == (newest, [])
    assert [bucket.counts for bucket in (await store.history.between(Resolution.HOUR, 0, NOW + 1)).values()] == [{Count.CREATES: 1}]


async def test_only_so_many_uncounted_events_come_at_once_the_oldest_first(store: Store) -> None:
    for number in range(3):
        await store.platform.add_event(replace(an_event(), at=NOW + number))
    _, events = await store.history.uncounted(2)
    assert [event.at for event in events] == [NOW, NOW + 1]


async def test_buckets_are_let_go_of_each_resolution_in_its_time(store: Store) -> None:
    await added(store, NOW)
    later = NOW + KEPT_SECONDS[Resolution.MINUTE] + DAY_SECONDS
    await added(store, later, now=later)
    found = {each: len(await store.history.between(each, 0, later + 1)) for each in Resolution}
    assert found == {Resolution.MINUTE: 1, Resolution.HOUR: 2, Resolution.DAY: 2, Resolution.EVER: 1}
    await added(store, NOW, now=later)
    assert len(await store.history.between(Resolution.MINUTE, 0, later + 1)) == 1


async def test_what_was_ever_counted_stays_and_knows_nothing_of_samples(store: Store) -> None:
    part = ONE + sampled({Gauge.READY: 2})
    long_after = NOW + 2 * KEPT_SECONDS[Resolution.DAY]
    await added(store, NOW, part)
    await added(store, long_after, part, now=long_after)
    assert await store.history.between(Resolution.EVER, 0, 1) == {0: Bucket(counts={Count.CREATES: 2})}
    assert len(await store.history.between(Resolution.DAY, 0, long_after + 1)) == 1


async def test_what_processes_counted_of_themselves_adds_up_and_no_event_counts_with_it(store: Store, replica: Store) -> None:
    await store.platform.add_event(an_event())
    part = Bucket(steps={StepName.VOLUME: lasted(1.5)}, calls={"ec2:CreateFleet": Calls(3, 1, 1)})
    await asyncio.gather(*(each.history.add_tallied(rolled_up([(NOW, part)]), NOW) for each in (store, replica) for _ in range(5)))
    for resolution, start in ((Resolution.MINUTE, TODAY), (Resolution.DAY, TODAY), (Resolution.EVER, 0)):
        (found,) = (await store.history.between(resolution, start, start + DAY_SECONDS)).values()
        assert found.calls == {"ec2:CreateFleet": Calls(30, 10, 10)}
        assert (found.steps[StepName.VOLUME].count, found.steps[StepName.VOLUME].milliseconds) == (10, 15_000)
    assert (await store.history.uncounted(10))[0] == 0


async def test_first_runs_are_told_of_those_that_were_created_and_ran(store: Store) -> None:
    one, two = InstanceId("oc-one"), InstanceId("oc-two")
    for name, at, instance_id in (
        (EventName.INSTANCE_CREATED, NOW, one),
        (EventName.INSTANCE_RUNNING, NOW + 5, one),
        (EventName.INSTANCE_RUNNING, NOW + 99, one),
        (EventName.INSTANCE_RUNNING, NOW + 7, two),
    ):
        await store.platform.add_event(Event(name, at, instance_id))
    assert await store.history.first_runs([one, two, one]) == {one: (NOW, NOW + 5)}
    assert await store.history.first_runs([]) == {}


async def test_what_stands_is_counted_by_the_database(store: Store) -> None:
    await add_machines(store, "a", "b")
    await create(store, "waiting", OWNER)
    standing = await store.history.standing()
    assert (standing.machines, standing.instances, standing.waiting) == ({"initializing": 2}, {"pending": 1}, 1)
    assert (await store.machines.get(MachineId("mc-a"))).state == "initializing"


async def test_moments_are_the_newest_of_their_names_in_their_order(store: Store) -> None:
    machine = MachineId("mc-1")
    for name, at in (
        (EventName.INSTANCE_CREATED, NOW - 50), (EventName.MACHINE_LAUNCHED, NOW - 40), (EventName.INSTANCE_CREATED, NOW - 30),
        (EventName.MACHINE_AVAILABLE, NOW - 20), (EventName.INSTANCE_CREATED, NOW - 10),
    ):  # fmt: skip
        await store.platform.add_event(Event(name, at, machine_id=machine))
    created = (EventName.INSTANCE_CREATED,)
    assert [moment.at for moment in await store.history.moments(created, 0, 10)] == [NOW - 50, NOW - 30, NOW - 10]
    assert [moment.at for moment in await store.history.moments(created, 0, 2)] == [NOW - 30, NOW - 10]
    assert [moment.at for moment in await store.history.moments(created, NOW - 30, 9)] == [NOW - 10]
    both = await store.history.moments((EventName.MACHINE_AVAILABLE, EventName.MACHINE_LAUNCHED), 0, 9)
    assert [(moment.name, moment.machine_id) for moment in both] == [
        (EventName.MACHINE_LAUNCHED, machine),
        (EventName.MACHINE_AVAILABLE, machine),
    ]
