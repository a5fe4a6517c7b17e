"""What was seen of arrivals, and how many spares would have been enough."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field
from typing import Final

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.adaptive import WEEK_SECONDS, WeekPlan
from openclaw_hosted.domain.advice import Advice, Replay, advise, replay
from openclaw_hosted.domain.cost import HOURS_PER_MONTH, Deployment, estimate, planned_holdings
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import HistoryStore, PlatformStore
from openclaw_hosted.services.targeting import BOOT_SECONDS, BOOTED, BOOTS_READ, AdaptiveTarget, boots

MOST_ARRIVALS: Final = 5_000
"""Each is replayed against some sixty schedules, which takes as many microseconds."""
FRESH_SECONDS: Final = 600.0
"""How long advice is repeated rather than worked out again."""


@dataclass(frozen=True, slots=True)
class Week:
    """The last seven days."""

    advice: Advice | None
    """None where too few users came to say anything."""
    usd_saved: float | None
    """By the advice, in that week; negative where it costs more. None where machines cost nothing, or without advice."""
    is_adaptive: bool
    """Whether the pool follows the plan."""
    plan: WeekPlan | None
    """What has been learned, whether it is followed or not; None while too little is known."""
    plan_misses: int | None
    """How many the plan would have missed."""


@dataclass(frozen=True, slots=True)
class AdviceService:
    """For admins only. It changes nothing."""

    _platform: PlatformStore
    _history: HistoryStore
    _target: AdaptiveTarget
    _policy: PoolPolicy
    _clock: Clock
    _is_adaptive: bool = False
    _deployment: Deployment | None = None
    """None where machines cost nothing."""
    _given: dict[tuple[float, int], Week] = field(default_factory=dict)
    """The newest, by when and for how many spares."""

    async def week(self, actor: Actor) -> Week:
        """From the last seven days, or the newest `MOST_ARRIVALS` creates. Ten minutes old at most."""
        require_admin(actor)
        spares = self._policy.wanted((await self._platform.pool_memory()).spares)
        key = (self._clock.now() // FRESH_SECONDS, spares)
        if (given := self._given.get(key)) is not None:
            return given
        found = await self._look_back(spares)
        self._given.clear()
        self._given[key] = found
        return found

    async def _look_back(self, spares: int) -> Week:
        since = self._clock.now() - WEEK_SECONDS
        arrivals = [moment.at for moment in await self._history.moments((EventName.INSTANCE_CREATED,), since, MOST_ARRIVALS)]
        booted = boots(await self._history.moments(BOOTED, since, BOOTS_READ))
        boot_seconds = statistics.median(booted) if booted else BOOT_SECONDS
        advice = await asyncio.to_thread(advise, arrivals, spares, boot_seconds)
        plan = await self._target.plan(spares)
        return Week(
            advice,
            None if advice is None or self._deployment is None else advice.spares_saved * _usd_of_a_spare(self._deployment),
            self._is_adaptive,
            plan,
            replay(arrivals, plan, boot_seconds) if plan else None,
        )


def _usd_of_a_spare(deployment: Deployment) -> float:
    """In a week."""
    with_it, without = (estimate(planned_holdings(0, spares), deployment).total_usd for spares in (1, 0))
    return (with_it - without) * WEEK_SECONDS / 3600 / HOURS_PER_MONTH


def sentence(week: Week) -> str | None:
    """What an operator reads of it; None without advice."""
    if week.advice is None:
        return None
    now, best, arrivals = week.advice.now, week.advice.best, week.advice.arrivals
    if best.schedule == now.schedule:
        return (
            f"Last week, {_spares(now)} would have missed {now.misses} of {arrivals}. No other number would have been cheaper and as good."
        )
    return (
        f"With what you saw last week, {_spares(best)} would have missed {best.misses} of {arrivals} and {_saved(week)}. "
        f"{_spares(now)[0].upper()}{_spares(now)[1:]} would have missed {now.misses}."
    )


def _spares(replayed: Replay) -> str:
    day, night = replayed.schedule.by_day, replayed.schedule.by_night
    noun = "spare" if day == 1 else "spares"
    return f"{day} {noun} by day and night" if day == night else f"{day} {noun} by day and {night} by night"


def _saved(week: Week) -> str:
    assert week.advice is not None
    spares = week.advice.spares_saved
    if week.usd_saved is not None:
        return f"saved ${week.usd_saved:.2f}" if spares >= 0 else f"cost ${-week.usd_saved:.2f} more"
    return f"kept {abs(spares):g} {'fewer' if spares >= 0 else 'more'} on average"
