"""What the services and the control loops of one process have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace

from openclaw_hosted.adapters.local.machines import ports_of_machines
from openclaw_hosted.adapters.outgoing import Own
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.adapters.webhooks import HttpWebhooks
from openclaw_hosted.bootstrap.learning import followed, learned
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.services.targeting import AdaptiveTarget
from openclaw_hosted.settings import Settings
from openclaw_hosted.settings_operating import OperatingSettings, load_operating_settings
from openclaw_hosted.store.open import Store


@dataclass(frozen=True, slots=True)
class Shared:
    """Settings, what they name, and what is made of them once."""

    settings: Settings
    operating: OperatingSettings
    store: Store
    provided: Provided
    clock: SystemClock
    ids: SystemIds
    policy: PoolPolicy
    webhooks: HttpWebhooks
    lesson: AdaptiveTarget
    """What the pool would follow if it adapted."""

    @property
    def target(self) -> AdaptiveTarget | None:
        """What the pool follows beyond a number, if anything."""
        return followed(self.settings, self.lesson)


def share(settings: Settings, store: Store, provided: Provided, clock: SystemClock, ids: SystemIds) -> Shared:
    """For one process."""
    policy = replace(provided.options.policy, spares=settings.spares, spread=settings.spread, fleet_cap=settings.fleet_cap)
    webhooks = HttpWebhooks(own(settings), settings.private_webhooks)
    lesson = learned(settings, store, policy, clock)
    return Shared(settings, load_operating_settings(), store, provided, clock, ids, policy, webhooks, lesson)


def own(settings: Settings) -> Own:
    """The platform's own addresses, which nothing that users name may lead to."""
    return Own(frozenset({settings.public_host}) - {"localhost"}, lambda: {*settings.ports, *ports_of_machines(settings.data_dir)})
