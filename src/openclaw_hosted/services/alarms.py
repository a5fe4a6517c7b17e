"""What operators see of alarms, and how they try who would be told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.alarms import ALARMS, Alarm, AlarmNews, AlarmState, Limits, Told
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.alarms import AlarmChannel, AlarmStore
from openclaw_hosted.ports.stores import PlatformStore

TRY_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class AlarmView:
    """One alarm: what it is, from where on it is on, None for never here, and how it is."""

    alarm: Alarm
    limit: float | None
    state: AlarmState


@dataclass(frozen=True, slots=True)
class AlarmService:
    """For admins only."""

    _store: AlarmStore
    _platform: PlatformStore
    _channels: Sequence[AlarmChannel]
    _policy: PoolPolicy
    _address: str
    _limits: Limits = field(default_factory=Limits)

    async def list(self, actor: Actor) -> Sequence[AlarmView]:
        """All, those first that are on."""
        require_admin(actor)
        limits = replace(self._limits, spares=self._policy.wanted((await self._platform.pool_memory()).spares))
        states = {state.name: state for state in await self._store.list()}
        views = [AlarmView(alarm, limits.of(alarm), states.get(alarm.name, AlarmState(alarm.name))) for alarm in ALARMS]
        return sorted(views, key=lambda view: not view.state.is_on)

    def channels(self, actor: Actor) -> Sequence[str]:
        """The names of those who are told."""
        require_admin(actor)
        return [channel.name for channel in self._channels]

    async def try_channels(self, actor: Actor) -> Mapping[str, str | None]:
        """Tell all channels that this is a test. Each with what went wrong, or None."""
        require_admin(actor)
        text = f"A test of {self._address}: alarms would reach you here."
        news = AlarmNews("test", Told.BEGAN, f"A test of alarms on {self._address}", text)
        answers = await asyncio.gather(*(_try(channel, news) for channel in self._channels))
        return {channel.name: answer for channel, answer in zip(self._channels, answers, strict=True)}


async def _try(channel: AlarmChannel, news: AlarmNews) -> str | None:
    try:
        async with asyncio.timeout(TRY_SECONDS):
            await channel.tell(news)
    except TimeoutError:
        return f"no answer within {TRY_SECONDS:.0f} s"
    except PortError as problem:
        return str(problem)
    return None
