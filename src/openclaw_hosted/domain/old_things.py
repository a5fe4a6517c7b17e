"""What an older system consists of, and when and in which order it can be taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.migration import DAY_SECONDS, Migration, MigrationState, OldService, Side, can_roll_back


class ThingKind(StrEnum):
    """What the older system consists of, in the order in which it can be taken away. The rules of old addresses are none of it: they lead
    to the new ones."""

    SERVICE = "service"
    TASK_DEFINITION = "task definition"
    GROUP = "target group"
    AUTO_SCALING_GROUP = "Auto Scaling group"
    CAPACITY_PROVIDER = "capacity provider"
    CLUSTER = "cluster"
    LAUNCH_TEMPLATE = "launch template"
    NAT_GATEWAY = "NAT gateway"
    ADDRESS = "address"
    FILE_SYSTEM = "file system"
    SECRET = "secret"
    LOG_GROUP = "log group"


REMOVAL_ORDER: Final = tuple(ThingKind)


@dataclass(frozen=True, slots=True)
class OldThing:
    """One thing of the older system, proved to be so by its tags or by belonging to what is."""

    kind: ThingKind
    ref: str
    name: str
    usd_a_month: float = 0.0
    note: str = ""
    """What the price is for, and what is lost with it."""


def removal_order(things: Sequence[OldThing]) -> list[OldThing]:
    """As they can be taken away: what uses comes before what is used."""
    return sorted(things, key=lambda thing: (REMOVAL_ORDER.index(thing.kind), thing.ref))


def obstacles(services: Sequence[OldService], migrations: Sequence[Migration], now: float, rollback_seconds: float) -> list[str]:
    """Why the older system has to stay; empty where it may go."""
    known = {migration.user: migration for migration in migrations}
    found = []
    for user in sorted({service.user for service in services} | known.keys()):
        migration = known.get(user)
        if migration is None or migration.side is Side.OLD:
            found.append(f"{user} is still on the old system ({'waiting' if migration is None else migration.state}).")
        elif migration.state is not MigrationState.DONE:
            found.append(f"{user} is {migration.state}.")
        elif can_roll_back(migration, now, rollback_seconds=rollback_seconds):
            days = ((migration.switched_at or now) + rollback_seconds - now) / DAY_SECONDS
            found.append(f"{user} can still go back, for {days:.1f} days more.")
    return found
