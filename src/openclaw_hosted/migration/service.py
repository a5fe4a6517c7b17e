"""What an operator can ask of a migration: plan, run, status, roll back, decommission. Each can be asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.errors import NotFound, OpenClawHostedError, StateConflict
from openclaw_hosted.domain.migration import (
    ROLLBACK_SECONDS,
    STARTABLE,
    UNDER_WAY,
    Migration,
    MigrationState,
    OldService,
    ask_rollback,
    start,
)
from openclaw_hosted.domain.old_things import OldThing, obstacles, removal_order
from openclaw_hosted.migration.flow import Flow
from openclaw_hosted.migration.planning import Plan, compare_costs, plan_users
from openclaw_hosted.ports.stores import Lease, PlatformStore

LEASE: Final = "migration"
LEASE_SECONDS: Final = 60.0
FAILURES_IN_ROW: Final = 3
"""After so many users in a row who went back, no other begins: what is wrong is wrong for all."""
REMOVAL_LOOKS: Final = 120
REMOVAL_PAUSE_SECONDS: Final = 5.0
UNWELL_SECONDS: Final = 60.0
"""How long after its soak time a user may still become well."""

Said = Callable[[Migration], None]


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of one thing of the older system. `problem` says why it is still there."""

    thing: OldThing
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class MigrationService:
    """For operators, who have the older system's rights; the platform itself has none there."""

    flow: Flow
    platform: PlatformStore
    deployment: Deployment
    spares: int
    our_version: str
    rollback_seconds: float = ROLLBACK_SECONDS

    async def plan(self) -> Plan:
        """What would be done. Reads only."""
        services, rows = await self.flow.legacy.services(), await self.flow.store.all()
        users = await plan_users(self.flow.legacy, self.flow.copies, services, rows, self.our_version)
        things = removal_order(await self.flow.legacy.things())
        return Plan(users, compare_costs(things, len(users), self.spares, self.deployment))

    async def status(self) -> Sequence[Migration]:
        """All rows, by user."""
        return await self.flow.store.all()

    async def run(self, said: Said, *, users: Sequence[str] = (), most: int | None = None) -> Sequence[Migration]:
        """Go on with whoever is under way, then move the users that are named, or else `most` of those that wait, or all; then watch
        them through their soak time. Returns the rows that were touched. Raises `NotFound` for a user whom nobody knows."""
        async with self._alone() as lease:
            services = {service.user: service for service in await self.flow.legacy.services()}
            unknown = sorted(set(users) - services.keys())
            if unknown:
                raise NotFound(f"The old system has no user {unknown[0][:60]!r}. `migrate plan` lists them.")
            rows = {row.user: row for row in await self.flow.store.all()}
            under_way = [user for user, row in rows.items() if row.state in UNDER_WAY]
            touched = [user for user in under_way if user in services]
            for user in touched:
                rows[user] = await self.flow.go_on(rows[user], self._service(services, rows[user]), lease, said)
            failures = 0
            for user in _chosen(services, rows, users, most):
                if failures >= FAILURES_IN_ROW:
                    break
                await self._check_soaking(rows, services, lease)
                row = start(rows.get(user, Migration(user, services[user].ref)), services[user], self.flow.clock.now())
                await self.flow.store.put(row, lease)
                rows[user] = await self.flow.go_on(row, services[user], lease, said)
                touched.append(user)
                failures = failures + 1 if rows[user].state in (MigrationState.RETURNING, MigrationState.RETURNED) else 0
            await self._soak(rows, services, lease, said)
            for user in under_way:
                self._service(services, rows[user])
            return [rows[user] for user in touched]

    async def rollback(self, user: str, said: Said) -> Migration:
        """Take a user back to the old system, with what was written since. Raises `NotFound` and `IllegalTransition`."""
        async with self._alone() as lease:
            row = await self.flow.store.get(user)
            if row is None:
                raise NotFound(f"Nothing was migrated for a user {user[:60]!r}. `migrate status` lists whom.")
            services = {service.user: service for service in await self.flow.legacy.services()}
            if row.state is not MigrationState.ROLLING_BACK:
                row = ask_rollback(row, self.flow.clock.now(), rollback_seconds=self.rollback_seconds)
                await self.flow.store.put(row, lease)
            return await self.flow.go_on(row, self._service(services, row), lease, said)

    async def obstacles(self) -> list[str]:
        """Why the older system has to stay; empty where it may go."""
        services = await self.flow.legacy.services()
        return obstacles(services, await self.flow.store.all(), self.flow.clock.now(), self.rollback_seconds)

    async def belongings(self) -> list[OldThing]:
        """What `decommission` would take away, in its order."""
        return removal_order(await self.flow.legacy.things())

    async def decommission(self, things: Sequence[OldThing], said: Callable[[Removal], None]) -> list[Removal]:
        """Take these away, as listed before, in an order that works. Raises `StateConflict` while a user is left or can go back. What can't
        be taken away is said, and the rest goes on; asked again it goes on from there."""
        async with self._alone():
            reasons = await self.obstacles()
            if reasons:
                raise StateConflict(" ".join(reasons))
            removals = []
            for thing in removal_order(things):
                removals.append(await self._remove(thing))
                said(removals[-1])
            return removals

    async def _remove(self, thing: OldThing) -> Removal:
        for _ in range(REMOVAL_LOOKS):
            try:
                if await self.flow.legacy.remove(thing):
                    return Removal(thing)
            except OpenClawHostedError as problem:
                return Removal(thing, str(problem))
            await self.flow.clock.sleep(REMOVAL_PAUSE_SECONDS)
        return Removal(thing, "It takes long to end. Run this again later.")

    async def _check_soaking(self, rows: dict[str, Migration], services: dict[str, OldService], lease: Lease) -> None:
        """Nobody follows those who are in trouble."""
        for user, row in rows.items():
            if row.state is MigrationState.SOAKING:
                try:
                    rows[user] = await self.flow.soak(row, self._service(services, row), lease)
                except OpenClawHostedError as problem:
                    raise StateConflict(f"{user} was switched and is not well, so nobody else is moved: {problem}") from problem

    async def _soak(self, rows: dict[str, Migration], services: dict[str, OldService], lease: Lease, said: Said) -> None:
        """Watch until each is done. Raises `StateConflict` for those who are not well by the end of their time."""
        until = self.flow.clock.now() + self.flow.options.soak_seconds + UNWELL_SECONDS
        while soaking := [user for user, row in rows.items() if row.state is MigrationState.SOAKING]:
            problems = {}
            for user in soaking:
                try:
                    rows[user] = await self.flow.soak(rows[user], self._service(services, rows[user]), lease)
                except OpenClawHostedError as problem:
                    problems[user] = str(problem)
                if rows[user].state is MigrationState.DONE:
                    said(rows[user])
            if problems and self.flow.clock.now() >= until:
                user, why = next(iter(problems.items()))
                raise StateConflict(f"{user} is not well on the new side: {why} To go back: openclaw-hosted migrate rollback {user}")
            if any(rows[user].state is MigrationState.SOAKING for user in soaking):
                await self.flow.clock.sleep(self.flow.options.soak_poll_seconds)

    def _service(self, services: dict[str, OldService], row: Migration) -> OldService:
        if row.user not in services:
            raise NotFound(f"The service of {row.user} is gone from the old system, or the mapping no longer finds it.")
        return services[row.user]

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Lease]:
        """Hold the lease that all runs share, renewed by a task. Raises `StateConflict` where another has it."""
        token = self.flow.new.ids.token()
        lease = await self.platform.acquire(LEASE, token, LEASE_SECONDS)
        if lease is None:
            raise StateConflict("Another run of the migration is at work, or one ended less than a minute ago without saying so.")
        renewing = asyncio.create_task(self._renew(token))
        try:
            yield lease
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            await self.platform.release(lease)

    async def _renew(self, token: str) -> None:
        while True:
            await self.flow.clock.sleep(LEASE_SECONDS / 3)
            with suppress(OpenClawHostedError):
                await self.platform.acquire(LEASE, token, LEASE_SECONDS)


def _chosen(services: dict[str, OldService], rows: dict[str, Migration], users: Sequence[str], most: int | None) -> list[str]:
    """Whom to begin with: those named, whatever became of them before, or else those that wait, by their names."""
    if users:
        again = STARTABLE | {MigrationState.ROLLED_BACK}
        return [user for user in dict.fromkeys(users) if user not in rows or rows[user].state in again]
    waiting = [user for user in sorted(services) if user not in rows or rows[user].state in STARTABLE]
    return waiting if most is None else waiting[:most]
