"""What the pool learns of its past, as the settings say."""

from __future__ import annotations

from openclaw_hosted.domain.adaptive import AdaptivePolicy
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.services.targeting import AdaptiveTarget
from openclaw_hosted.settings import Settings
from openclaw_hosted.store import Store


def learned(settings: Settings, store: Store, policy: PoolPolicy, clock: Clock) -> AdaptiveTarget:
    """What was learned, whether the pool follows it or not."""
    return AdaptiveTarget(store.history, clock, policy, AdaptivePolicy(settings.missed_share, settings.spares_most))


def followed(settings: Settings, target: AdaptiveTarget) -> AdaptiveTarget | None:
    """What was learned, where the pool follows it."""
    return target if settings.pool_policy == "adaptive" else None
