"""What the pool has learned: the plan of the week, made from the record once a day, and the number of spares for now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from openclaw_hosted.domain.adaptive import (
    DAY_SECONDS,
    HOUR_SECONDS,
    LOOK_BACK_WEEKS,
    WEEK_SECONDS,
    AdaptivePolicy,
    Record,
    WeekPlan,
    plan_week,
    refill_seconds,
    spares_at,
)
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.history import Bucket, Count, Resolution
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import HistoryStore
from openclaw_hosted.ports.stores.history import Moment

TAKEN: Final = (EventName.INSTANCE_CREATED, EventName.INSTANCE_MACHINE_LOST, EventName.INSTANCE_MOVING)
"""Each takes a spare."""
BOOTED: Final = (EventName.MACHINE_LAUNCHED, EventName.MACHINE_AVAILABLE)
MOST_ARRIVALS: Final = 50_000
"""Of more, the newest count one by one, and all by the hour."""
MOST_RECENT: Final = 2_000
BOOTS_READ: Final = 4_000
BOOT_SECONDS: Final = 180.0
"""What a machine is taken to need where none was seen to become ready."""


class AdaptiveTarget:
    """`PoolTarget` that follows what was recorded. It ends its record with the last midnight UTC, so that all processes make the same plan,
    and that changes once a day at most."""

    def __init__(self, history: HistoryStore, clock: Clock, pool: PoolPolicy, policy: AdaptivePolicy) -> None:
        self._history = history
        self._clock = clock
        self._pool = pool
        self._policy = policy
        self._made: tuple[float, int, WeekPlan | None] | None = None

    async def wanted(self, by_operator: int | None) -> int:
        """The plan's number, or more where people come just now. Zero where zero are asked for."""
        base, now = self._pool.wanted(by_operator), self._clock.now()
        plan = await self.plan(base)
        recent = await self._history.moments(TAKEN, now - HOUR_SECONDS, MOST_RECENT) if plan else []
        return min(spares_at(now, plan, [moment.at for moment in recent], base, self._policy), self._pool.fleet_cap)

    async def plan(self, base: int) -> WeekPlan | None:
        """Of today; None while too little is known."""
        until = self._clock.now() // DAY_SECONDS * DAY_SECONDS
        if self._made is None or self._made[:2] != (until, base):
            plan = await asyncio.to_thread(plan_week, await self._record(until), base, self._policy)
            self._made = (until, base, plan)
        return self._made[2]

    async def _record(self, until: float) -> Record:
        since = until - LOOK_BACK_WEEKS * WEEK_SECONDS
        hours = await self._history.between(Resolution.HOUR, since, until)
        taken = await self._history.moments(TAKEN, since, MOST_ARRIVALS)
        booted = await self._history.moments(BOOTED, since, BOOTS_READ)
        launches, failures = _total(hours, Count.LAUNCHES), _total(hours, Count.LAUNCH_FAILURES)
        return Record(
            until=until,
            arrivals=[moment.at for moment in taken if moment.at < until],
            by_hour={
                start: bucket.counts.get(Count.CREATES, 0) + bucket.counts.get(Count.REPLACEMENTS, 0) for start, bucket in hours.items()
            },
            refill_seconds=refill_seconds(boots(booted), launches, failures, BOOT_SECONDS),
        )


def boots(moments: Sequence[Moment]) -> list[float]:
    """From launch to available, of each machine of which both were seen."""
    launched = {moment.machine_id: moment.at for moment in moments if moment.name is EventName.MACHINE_LAUNCHED}
    return [
        moment.at - launched[moment.machine_id]
        for moment in moments
        if moment.name is EventName.MACHINE_AVAILABLE and moment.machine_id in launched
    ]


def _total(hours: Mapping[int, Bucket], count: Count) -> int:
    return sum(bucket.counts.get(count, 0) for bucket in hours.values())
