"""Restore points: what a volume held at a moment, and which of them are made, kept and let go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.naming import InstanceId, RestorePointId, UserId


class Cause(StrEnum):
    """Why a restore point was made."""

    SCHEDULE = "schedule"
    ASKED = "asked"
    """Its user wanted one."""
    UPGRADE = "upgrade"
    """Another release of OpenClaw was about to use the volume for the first time."""
    DELETION = "deletion"
    RESTORE = "restore"
    """An older one was about to take the present state's place."""
    MOVE = "move"
    """It was about to go on in another zone."""
    BROUGHT = "brought"
    """Its user brought an archive."""
    ADOPTED = "adopted"
    """It is from before the database was lost, which alone knew why."""
    ORPHAN = "orphan"
    """The volume had no row any more, and was about to be removed."""


AT_REST: Final = frozenset({Cause.UPGRADE, Cause.RESTORE})
"""Made by whoever has stopped the gateway, before anything else is done with the volume."""


class PointState(StrEnum):
    """Where a restore point is in its life. What is gone has no row."""

    MAKING = "making"
    """Under way, or about to be begun."""
    READY = "ready"
    REMOVING = "removing"
    """No longer to be had; the provider may still keep something of it."""


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """One restore point as its row says. Times are seconds since the epoch, UTC."""

    id: RestorePointId
    instance_id: InstanceId
    """Whose data it holds; of an archive that was brought, the id that it was given."""
    made_at: float
    """When it was asked for; what it holds is no older."""
    cause: Cause
    state: PointState = PointState.MAKING
    size_bytes: int | None = None
    """What it takes, as far as the provider tells."""
    owner_id: UserId | None = None
    """Who brought the archive; else whoever owns the instance."""

    @property
    def is_begun_elsewhere(self) -> bool:
        """Whether somebody else begins it, who knows when; once it exists, whoever looks after all of them goes on with it."""
        return self.cause in (*AT_REST, Cause.BROUGHT, Cause.ORPHAN)

    @property
    def is_at_rest(self) -> bool:
        """Whether placement makes it, once the gateway has stopped."""
        return self.cause in AT_REST


@dataclass(frozen=True, slots=True)
class RestorePointPolicy:
    """How often they are made, and how many are kept."""

    every_seconds: float = 86_400.0
    """Zero makes none on a schedule."""
    keep: int = 7
    """Of each instance, those that were made on a schedule or asked for are counted together."""
    making_seconds: float = 86_400.0
    """After so long, one that is not ready has failed."""
    at_once: int = 4
    """How many are begun on a schedule at one look."""
    orphans_kept_seconds: float = 30 * 86_400.0
    brought_kept_seconds: float = 86_400.0
    """How long an archive waits for somebody to make an instance of it, and is kept after that."""


@dataclass(frozen=True, slots=True)
class RestorePointPlan:
    """What to do about restore points."""

    begin: tuple[InstanceId, ...]
    fail: tuple[RestorePoint, ...]
    remove: tuple[RestorePoint, ...]


def plan_restore_points(
    running: Mapping[InstanceId, float],
    points: Iterable[RestorePoint],
    in_use: Collection[RestorePointId],
    now: float,
    policy: RestorePointPolicy,
) -> RestorePointPlan:
    """`running` are the instances that run, and since when there is each, `in_use` the points that a volume is being made from.

    Of each instance the newest ready one is kept, whatever the policy says, and so is one in use.
    """
    of: dict[InstanceId, list[RestorePoint]] = {}
    for point in points:
        of.setdefault(point.instance_id, []).append(point)
    begin = [each for each, since in sorted(running.items()) if _is_due(of.get(each, ()), since, now, policy)]
    fail, remove = [], []
    for found in of.values():
        fail += [each for each in found if each.state is PointState.MAKING and now - each.made_at > policy.making_seconds]
        remove += [each for each in _superfluous(found, now, policy) if each.id not in in_use]
    return RestorePointPlan(tuple(begin[: policy.at_once]), tuple(fail), tuple(remove))


def _is_due(points: Iterable[RestorePoint], since: float, now: float, policy: RestorePointPolicy) -> bool:
    if policy.every_seconds <= 0:
        return False
    newest = max((point.made_at for point in points if point.state is not PointState.REMOVING), default=since)
    return now - newest >= policy.every_seconds


def _superfluous(points: Iterable[RestorePoint], now: float, policy: RestorePointPolicy) -> list[RestorePoint]:
    ready = sorted(
        (point for point in points if point.state is PointState.READY), key=lambda point: (point.made_at, point.id), reverse=True
    )
    lasting = [point for point in ready if point.cause not in (Cause.ORPHAN, Cause.BROUGHT)]
    kept_for: Mapping[Cause, float] = {Cause.ORPHAN: policy.orphans_kept_seconds, Cause.BROUGHT: policy.brought_kept_seconds}
    aged = [point for point in ready if point.cause in kept_for and now - point.made_at > kept_for[point.cause]]
    return lasting[max(policy.keep, 1) :] + aged


def describe_age(seconds: float) -> str:
    """An age for people, such as `3 hours`: whole minutes, hours or days, rounded down."""
    unit, count = age_of(seconds)
    return f"{count} {unit}{'' if count == 1 else 's'}" if count else "less than a minute"


def age_of(seconds: float) -> tuple[str, int]:
    """An age as a unit (`day`, `hour`, `minute`) and how many of it, rounded down; no minutes for less than one."""
    for unit, length in (("day", 86_400.0), ("hour", 3600.0)):
        count = int(max(seconds, 0.0) // length)
        if count:
            return unit, count
    return "minute", int(max(seconds, 0.0) // 60)
