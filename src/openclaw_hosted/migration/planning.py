"""What would be done, and what it would cost. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.cost import Deployment, projection
from openclaw_hosted.domain.errors import OpenClawHostedError
from openclaw_hosted.domain.gateway import check_credentials, check_settings
from openclaw_hosted.domain.migration import Migration, MigrationState, OldService, OldSettings
from openclaw_hosted.domain.old_things import OldThing
from openclaw_hosted.domain.versions import is_newer, is_version
from openclaw_hosted.migration.new_side import usable
from openclaw_hosted.ports.legacy import Legacy, StateCopies, StateSize

STOP_SECONDS: Final = 10.0
"""What an idle OpenClaw and its task take to stop; a turn under way takes its time on top."""
START_SECONDS: Final = 13.0
"""What OpenClaw takes to start on an existing state, and the route to be switched."""
DRAIN_SECONDS: Final = 5.0
"""What a load balancer need give connections of an OpenClaw that is to stop; by default it gives them five minutes."""
VERIFIED_BYTES_A_SECOND: Final = 50e6
SOURCE_BEFORE: Final = {10: 122, 25: 180, 50: 280}
SOURCE_AFTER: Final = {10: 83, 25: 140, 50: 230}
"""US dollars a month by users, as the design document compares them (docs/cost.md)."""


@dataclass(frozen=True, slots=True)
class UserPlan:
    """What is to be done for one user."""

    user: str
    email: str | None
    state: MigrationState
    size: StateSize | None
    """None where no state is kept, or it can't be reached."""
    provider: str | None
    channels: tuple[str, ...]
    offline_seconds: float
    """How long the user has to wait, as estimated."""
    missing: tuple[str, ...]
    """What has to be mended first."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """US dollars a month. `before` is of what was found of the older system, `after` the estimate of this platform for as many users."""

    before_usd: float
    after_usd: float
    users: int
    spares: int
    source_before_usd: int | None
    source_after_usd: int | None
    """As the design document has it, for as many users; None where its table has none."""
    things: tuple[OldThing, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What `plan` shows."""

    users: tuple[UserPlan, ...]
    costs: Costs


async def plan_users(
    legacy: Legacy, copies: StateCopies, services: Sequence[OldService], rows: Sequence[Migration], our_version: str
) -> tuple[UserPlan, ...]:
    """Each user, in the order of their names."""
    known = {row.user: row for row in rows}
    return tuple([
        await _plan_user(legacy, copies, service, known.get(service.user), our_version)
        for service in sorted(services, key=lambda each: each.user)
    ])  # fmt: skip


def compare_costs(things: Sequence[OldThing], users: int, spares: int, deployment: Deployment) -> Costs:
    """Before and after."""
    return Costs(
        sum(thing.usd_a_month for thing in things),
        projection(users, spares, deployment).total_usd,
        users,
        spares,
        SOURCE_BEFORE.get(users),
        SOURCE_AFTER.get(users),
        tuple(things),
    )


async def _plan_user(legacy: Legacy, copies: StateCopies, service: OldService, row: Migration | None, our_version: str) -> UserPlan:
    missing, notes = list(service.problems), []
    found, size = OldSettings(), None
    try:
        found = await legacy.settings(service)
        if service.state.is_kept:
            found = await copies.with_keys(service.state, found)
        check_credentials(usable(found))
        check_settings(found.settings, frozenset(usable(found)))
        notes += [f"{name} has no place here, and is left behind." for name in found.ignored]
    except OpenClawHostedError as problem:
        missing.append(str(problem))
    if service.state.is_kept:
        try:
            size = await copies.check(service.state)
        except OpenClawHostedError as problem:
            missing += [str(problem)] if str(problem) not in missing else []
    elif not service.problems:
        notes.append("The old system keeps no state of this user: conversations and files are not brought.")
    if service.drain_seconds > DRAIN_SECONDS:
        notes.append(
            f"An open page may keep the old service from stopping for {service.drain_seconds:.0f} seconds more. Before you move this user, "
            f"set deregistration_delay.timeout_seconds of its target group to {DRAIN_SECONDS:.0f}."
        )
    if service.version is None or not is_version(service.version):
        notes.append(f"The old OpenClaw's version is not told by its image. It may not be newer than {our_version}.")
    elif is_newer(service.version, our_version):
        missing.append(f"The old OpenClaw is {service.version}, newer than {our_version} here. Upgrade this platform first.")
    state = MigrationState.WAITING if row is None else row.state
    seconds = STOP_SECONDS + START_SECONDS + (size.size_bytes / VERIFIED_BYTES_A_SECOND if size else 0.0)
    channels = tuple(sorted(found.settings.channels))
    return UserPlan(service.user, service.email, state, size, found.settings.provider, channels, seconds, tuple(missing), tuple(notes))
