"""Moves one user: the steps of `domain.migration`, each an ensure.

What is about to be done is in the user's row before it is done, so a run that dies goes on where it was, and one that took over wins:
every write is guarded by the lease of the run. Before the switch, whatever can't be done goes back to the old side. No step begins that
would have two gateways on one state: the old service is seen to be stopped before the new gateway gets what it wrote, and the new instance
is seen to be gone before the old service is started.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from openclaw_hosted.domain.errors import LeaseLost, OpenClawHostedError, StateConflict, Throttled, Unavailable
from openclaw_hosted.domain.gateway import check_credentials, check_settings
from openclaw_hosted.domain.migration import (
    Migration,
    MigrationState,
    MigrationStep,
    OldService,
    OldSettings,
    begin_step,
    end_step,
    fail_step,
)
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.domain.versions import is_newer
from openclaw_hosted.domain.window import Window
from openclaw_hosted.migration.new_side import NewSide, usable
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.legacy import Arrival, Legacy, OldStatus, StateCopies
from openclaw_hosted.ports.stores import Lease, MigrationStore

TRIES: Final = 4
"""How often a step is tried where something did not answer, before it counts as failed."""


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """What an operator may set, and what tests shorten. Times are seconds."""

    our_version: str
    window: Window | None = None
    soak_seconds: float = 300.0
    soak_poll_seconds: float = 10.0
    poll_seconds: float = 0.5
    pause_seconds: float = 2.0
    """Before a step is tried again; longer each time."""
    stop_seconds: float = 300.0
    """How long an old service may take to stop."""
    revive_seconds: float = 900.0
    """How long it may take to come back."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What moving a user takes."""

    legacy: Legacy
    copies: StateCopies
    new: NewSide
    store: MigrationStore
    clock: Clock
    options: FlowOptions

    async def go_on(self, migration: Migration, service: OldService, lease: Lease, said: Callable[[Migration], None]) -> Migration:
        """Do what is left of its way, as far as it goes now: to the soak, or to the hour when the user may be made to wait, or back."""
        walk = _Walk(self, migration, service, lease, said)
        while walk.is_due:
            if not await walk.take_step():
                break
        return walk.migration

    async def soak(self, migration: Migration, service: OldService, lease: Lease) -> Migration:
        """Look at a user whose route was switched; done once the soak time is over and all is well. Raises what is wrong."""
        if (await self.legacy.status(service)).desired > 0:
            await self.legacy.scale(service, 0)
            raise StateConflict(f"The old service of {migration.user} was started again, and is stopped. Find out by whom.")
        await self.new.probe(_instance(migration))
        if self.clock.now() < (migration.switched_at or 0.0) + self.options.soak_seconds:
            return migration
        done = end_step(begin_step(migration, self.clock.now()), self.clock.now())
        await self.store.put(done, lease)
        return done


class _Walk:
    """One user on the way."""

    def __init__(self, flow: Flow, migration: Migration, service: OldService, lease: Lease, said: Callable[[Migration], None]) -> None:
        self._flow = flow
        self._service = service
        self._lease = lease
        self._said = said
        self.migration = migration
        self._do: Mapping[MigrationStep, Callable[[], Awaitable[None]]] = {
            MigrationStep.PREFLIGHT: self._preflight,
            MigrationStep.ACCOUNT: self._account,
            MigrationStep.INSTANCE: self._make_instance,
            MigrationStep.CREDENTIALS: self._credentials,
            MigrationStep.FIRST_COPY: self._first_copy,
            MigrationStep.REMEMBER: self._remember,
            MigrationStep.LOAD: self._load,
            MigrationStep.HOLD: self._hold,
            MigrationStep.STOP: self._stop,
            MigrationStep.DIFFERENCE: self._difference,
            MigrationStep.START: self._start,
            MigrationStep.CHANNELS: self._channels,
            MigrationStep.PROBE: self._probe,
            MigrationStep.SWITCH: self._switch,
            MigrationStep.CARRY_BACK: self._carry_back,
            MigrationStep.REMOVE: self._remove,
            MigrationStep.REVIVE: self._revive,
            MigrationStep.RELEASE: self._release,
        }

    @property
    def is_due(self) -> bool:
        """Whether there is a step to do now."""
        step, window = self.migration.step, self._flow.options.window
        if step is None or step is MigrationStep.SOAK:
            return False
        waits = self.migration.state is MigrationState.MOVING and step in (MigrationStep.LOAD, MigrationStep.HOLD)
        return window is None or not waits or window.is_open(self._flow.clock.now())

    async def take_step(self) -> bool:
        """Do the next one; whether to go on."""
        flow, step, state = self._flow, self.migration.step, self.migration.state
        assert step is not None
        await self._keep(begin_step(self.migration, flow.clock.now()))
        try:
            await self._tried(self._do[step])
        except LeaseLost:
            raise
        except OpenClawHostedError as problem:
            await self._keep(fail_step(self.migration, str(problem), flow.clock.now()))
            return state is MigrationState.MOVING
        await self._keep(end_step(self.migration, flow.clock.now()))
        return True

    async def _tried(self, do: Callable[[], Awaitable[None]]) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                return await do()
            except (Unavailable, Throttled):
                if attempt == TRIES:
                    raise
            await self._flow.clock.sleep(self._flow.options.pause_seconds * attempt)
        raise AssertionError("unreachable")

    async def _keep(self, migration: Migration) -> None:
        await self._flow.store.put(migration, self._lease)
        self.migration = migration
        self._said(migration)

    async def _note(self, **facts: Any) -> None:
        await self._keep(replace(self.migration, **facts))

    # --- forward ---

    async def _preflight(self) -> None:
        service, new, ours = self._service, self._flow.new, self._flow.options.our_version
        if service.problems:
            raise StateConflict(" ".join(service.problems))
        if service.version is not None and is_newer(service.version, ours):
            raise StateConflict(f"The old OpenClaw is {service.version}, newer than {ours} here. Upgrade this platform first.")
        found = await self._found()
        credentials = usable(found)
        check_credentials(credentials)
        check_settings(found.settings, frozenset(credentials))
        await new.check_key(found)
        if service.state.is_kept:
            await self._flow.copies.check(service.state)
        await new.check_room()

    async def _account(self) -> None:
        assert self._service.email is not None
        await self._note(owner_id=await self._flow.new.account(self._service.email))

    async def _make_instance(self) -> None:
        migration, new = self.migration, self._flow.new
        assert migration.owner_id is not None
        key = f"migration {migration.user} {migration.attempt}"
        instance_id = await new.create(migration.owner_id, f"From {migration.user}"[:60], key)
        await self._note(instance_id=instance_id)
        await new.settled(instance_id)

    async def _credentials(self) -> None:
        await self._flow.new.set_up(self._instance, await self._found(), channels=False)

    async def _first_copy(self) -> None:
        if self._service.state.is_kept:
            await self._flow.copies.bring(self._service.state, await self._arrival())

    async def _remember(self) -> None:
        status = await self._flow.legacy.status(self._service)
        if status.desired == 0:
            raise StateConflict("The old service is to have no task. Start it, or leave this user out.")
        await self._note(desired=status.desired, route=await self._flow.legacy.route(self._service))

    async def _load(self) -> None:
        if self._service.state.is_kept:
            await self._flow.new.stand_by(self._instance)

    async def _hold(self) -> None:
        await self._flow.legacy.hold(self._route)

    async def _stop(self) -> None:
        await self._flow.legacy.scale(self._service, 0)
        seconds = self._flow.options.stop_seconds + self._service.drain_seconds
        await self._until(lambda status: status.is_stopped, seconds, "The old service has not stopped")

    async def _difference(self) -> None:
        await self._check_old_is_stopped()
        if self._service.state.is_kept:
            await self._flow.copies.settle(self._service.state, await self._arrival())

    async def _start(self) -> None:
        await self._check_old_is_stopped()
        if self._service.state.is_kept:
            new, instance_id = self._flow.new, self._instance
            standing_by = await new.stand_by(instance_id)
            seat = standing_by or await new.rest(instance_id)
            await self._flow.copies.install(replace(await self._arrival(), seat=seat))
            await (new.begin(instance_id) if standing_by else new.restart(instance_id))

    async def _channels(self) -> None:
        await self._check_old_is_stopped()
        if (await self._flow.legacy.settings(self._service)).settings.channels:
            await self._flow.new.set_up(self._instance, await self._found(), channels=True)

    async def _probe(self) -> None:
        await self._flow.new.probe(self._instance)

    async def _switch(self) -> None:
        await self._check_old_is_stopped()
        await self._flow.legacy.lead(self._route, self._flow.new.url(self._instance))

    # --- back ---

    async def _carry_back(self) -> None:
        """The end of the new instance is asked for before it may write again."""
        await self._check_old_is_stopped()
        new = self._flow.new
        if not await new.is_wanted(self._instance):
            return
        await self._silenced()
        if self._service.state.is_kept:
            seat = await new.rest(self._instance)
            await self._flow.copies.carry_back(replace(await self._arrival(), seat=seat), self._service.state)
        await new.delete(self._instance)

    async def _silenced(self) -> None:
        """One that does not run speaks for nobody, and has to be left all the same."""
        try:
            await self._flow.new.silence(self._instance)
        except StateConflict:
            return

    async def _remove(self) -> None:
        if self.migration.instance_id is not None:
            await self._flow.new.removed(self.migration.instance_id)

    async def _revive(self) -> None:
        desired = self.migration.desired
        if desired is not None:
            await self._flow.legacy.scale(self._service, desired)
            await self._until(lambda status: status.is_up, self._flow.options.revive_seconds, "The old service has not come back")

    async def _release(self) -> None:
        if self.migration.route is not None:
            await self._flow.legacy.restore_route(self.migration.route)

    # --- what steps share ---

    @property
    def _instance(self) -> InstanceId:
        return _instance(self.migration)

    @property
    def _route(self) -> str:
        assert self.migration.route is not None
        return self.migration.route

    async def _found(self) -> OldSettings:
        found = await self._flow.legacy.settings(self._service)
        return await self._flow.copies.with_keys(self._service.state, found) if self._service.state.is_kept else found

    async def _arrival(self) -> Arrival:
        instance_id, mark = self._instance, f"{self.migration.user}-{self.migration.attempt}"
        return Arrival(await self._flow.new.seat(instance_id), volume_of(instance_id), instance_id, mark)

    async def _check_old_is_stopped(self) -> None:
        if not (await self._flow.legacy.status(self._service)).is_stopped:
            raise StateConflict("The old service runs again, so its state may not be taken. Find out who starts it.")

    async def _until(self, reached: Callable[[OldStatus], bool], seconds: float, message: str) -> None:
        flow = self._flow
        until = flow.clock.now() + seconds
        while not reached(status := await flow.legacy.status(self._service)):
            if flow.clock.now() >= until:
                raise StateConflict(f"{message} within {seconds:.0f} seconds: {status.left} of its tasks are left, {status.running} run.")
            await flow.clock.sleep(flow.options.poll_seconds)


def _instance(migration: Migration) -> InstanceId:
    assert migration.instance_id is not None
    return migration.instance_id
