"""Create, change, restart, delete and restore an instance: each writes what is wanted and gives a hint; controllers do the rest."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from openclaw_hosted.domain import lifecycle, waiting
from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.alarms import OVER_BUDGET
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, LimitReached, RevisionMoved
from openclaw_hosted.domain.gateway import (
    Channel,
    CredentialsChange,
    GatewaySettings,
    check_credentials,
    check_settings,
    decode_change,
    encode_change,
    with_stand_in,
)
from openclaw_hosted.domain.instance import Instance, Phase, Step
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.loglines import Level, LogLine, LogWish, chosen, parse_since
from openclaw_hosted.domain.naming import InstanceId, UserId, clean_display_name
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.restore_point import RestorePoint
from openclaw_hosted.domain.shards import Shards
from openclaw_hosted.domain.usage import DAYS_SHOWN, DayOfUse
from openclaw_hosted.domain.waiting import Waiting
from openclaw_hosted.ports.alarms import AlarmStore
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.gateways import Gateways
from openclaw_hosted.ports.router import Router
from openclaw_hosted.ports.stores import Caps, Hints, IdempotencyKey, InstanceStore, MachineStore, NewInstance
from openclaw_hosted.ports.vault import Sealer
from openclaw_hosted.services.changes import check_channels, fitting_credentials
from openclaw_hosted.services.reach import of_its_machine, own_instance, owned, running_instance, seat_of

IDEMPOTENCY_KEY_MAX_LENGTH = 200
CHANGE_ATTEMPTS = 5
"""How often a change is tried again that another one overtook."""


PURGED_SHOWN_SECONDS = 30 * 86_400.0
ALL_LINES = LogWish()
LINES_SOUGHT = 2000


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a user asks for. The credentials are never printed."""

    name: str
    settings: GatewaySettings
    credentials: CredentialsChange
    point: RestorePoint | None = None
    """What it begins with, as `RestorePointService.usable` has found it to be the actor's."""


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """What a user wants changed; None leaves a part as it is."""

    name: str | None = None
    settings: GatewaySettings | None = None
    credentials: CredentialsChange | None = None


@dataclass(frozen=True, slots=True)
class Departure:
    """An instance leaves its machine, which answers until it has."""

    kind: NoticeKind
    is_ready: bool
    """Whether there is another machine for it."""


@dataclass(frozen=True, slots=True)
class InstanceService:
    """What users may do with their own instances. Another user's is answered like one that does not exist."""

    _instances: InstanceStore
    _machines: MachineStore
    _gateways: Gateways
    _router: Router
    _sealer: Sealer
    _hints: Hints
    _clock: Clock
    _ids: Ids
    _caps: Caps
    _shards: Shards
    channels: frozenset[Channel] = frozenset(Channel)
    """Those that the installed OpenClaw has."""
    budget: AlarmStore | None = None
    """Where the alarm of the budget is kept, if that is to stop creates."""

    async def create(self, actor: Actor, request: CreateRequest, idempotency_key: str | None = None) -> tuple[Instance, bool]:
        """The new instance, or the one that the same key made before, and whether it is new. Calls no provider."""
        name = clean_display_name(request.name)
        check_channels(self.channels, request.settings)
        check_credentials(request.credentials.set)
        names = frozenset(request.credentials.set)
        check_settings(request.settings, names)
        await self._check_budget()
        new = NewInstance(
            actor.user_id, name, request.settings, names, await self._fallback_id(), self._shards.full,
            None if request.point is None else request.point.id, actor=actor,
        )  # fmt: skip
        instance, is_new = await self._instances.create(
            new,
            lambda instance_id: self._seal(instance_id, with_stand_in(request.credentials, request.settings, names)),
            self._caps,
            _idempotency(idempotency_key, request),
            self._clock.now(),
        )
        return instance, is_new

    async def _check_budget(self) -> None:
        """Raises `LimitReached` where the budget is reached and stops creates."""
        if self.budget is not None and any(state.name == OVER_BUDGET.name and state.is_on for state in await self.budget.list()):
            raise LimitReached("The platform's budget for this month is reached, so nobody can create an instance. Ask its operator.")

    async def _fallback_id(self) -> InstanceId | None:
        """An id for when no spare is free, where there is room for another route."""
        if not self._shards.count:
            return self._ids.instance_id()
        shards = self._shards.allot(await self._instances.routed_ids(), 1)
        return self._ids.instance_id(shards[0]) if shards else None

    async def get(self, actor: Actor, instance_id: str) -> Instance:
        """One of the actor's own. Raises `NotFound`."""
        return await own_instance(self._instances, actor, instance_id)

    async def list(self, actor: Actor) -> Sequence[Instance]:
        """The actor's own, newest first."""
        return await self._instances.list_for(actor.user_id)

    async def list_purged(self, actor: Actor) -> Sequence[Instance]:
        """The actor's own of which nothing is kept any more, for a while after that."""
        return await self._instances.list_purged(actor.user_id, self._clock.now() - PURGED_SHOWN_SECONDS)

    async def page(
        self, actor: Actor, limit: int, *, owner_id: UserId | None = None, phase: Phase | None = None, after: InstanceId | None = None
    ) -> Sequence[Instance]:
        """At most `limit`, newest first, those that follow on `after`: of one owner, or of all for None. Raises `NotAllowed` where these
        are not the actor's own and the actor is no admin."""
        if owner_id != actor.id:
            require_admin(actor)
        return await self._instances.list_page(limit, owner_id=owner_id, phase=phase, after=after)

    async def steps(self, actor: Actor, instance_id: str) -> Sequence[Step]:
        """The steps of one of the actor's own instances, in the order in which they began."""
        instance = await self.get(actor, instance_id)
        return await self._instances.steps(instance.id)

    async def departure(self, actor: Actor, instance_id: str) -> Departure | None:
        """Which machine one of the actor's own instances leaves, or is to leave, and why; None where it stays."""
        instance = await self.get(actor, instance_id)
        now = self._clock.now()
        for machine in await self._machines.list_noticed():
            if machine.instance_id != instance.id or machine.notice is None:
                continue
            if machine.id == instance.machine_id or (instance.is_moving and machine.is_leaving(now)):
                return Departure(machine.notice, is_ready=instance.machine_id not in (None, machine.id))
        return None

    async def change(self, actor: Actor, instance_id: str, request: ChangeRequest, *, expected_revision: int | None = None) -> Instance:
        """Change name, settings or credentials; brought into force without a restart where OpenClaw can. Credentials that new settings
        have no use for are dropped.

        Raises `RevisionMoved` when `expected_revision` is not the present one.
        """
        for _ in range(CHANGE_ATTEMPTS):
            with suppress(RevisionMoved):
                return await self._change_once(actor, instance_id, request, expected_revision)
            if expected_revision is not None:
                break
        raise RevisionMoved("It was changed meanwhile. Reload, and make your change again.")

    async def _change_once(self, actor: Actor, instance_id: str, request: ChangeRequest, expected_revision: int | None) -> Instance:
        """Credentials are merged with those that wait for the vault, so nothing may have changed since the instance was read."""
        instance = await self.get(actor, instance_id)
        if expected_revision not in (None, instance.revision):
            raise RevisionMoved
        name = None if request.name is None else clean_display_name(request.name)
        settings = request.settings or instance.settings
        credentials = request.credentials or CredentialsChange()
        if request.settings is not None:
            check_channels(self.channels, settings)
            credentials = fitting_credentials(instance, settings, credentials)
        check_credentials(credentials.set)
        names = (instance.credential_names - credentials.remove) | frozenset(credentials.set)
        check_settings(settings, names)
        if settings != instance.settings or credentials.remove:
            credentials = with_stand_in(credentials, settings, names)
        changes_secrets = bool(credentials.set or credentials.remove)
        sealed = await self._sealed_change(instance, credentials) if changes_secrets else None
        rule = partial(
            lifecycle.change,
            actor=actor,
            now=self._clock.now(),
            name=name,
            settings=settings if settings != instance.settings else None,
            credential_names=names if changes_secrets else None,
            sealed=sealed,
            expected_revision=instance.revision if changes_secrets else expected_revision,
        )
        return await self._instances.update(instance.id, rule)

    async def restart(self, actor: Actor, instance_id: str) -> Instance:
        """Restart its OpenClaw; a failed instance is tried again from the start."""
        instance = await self.get(actor, instance_id)
        return await self._instances.update(instance.id, partial(lifecycle.ask_restart, actor=actor, now=self._clock.now()))

    async def delete(self, actor: Actor, instance_id: str) -> Instance:
        """Delete it; `restore` undoes that while what it kept lasts."""
        instance = await self.get(actor, instance_id)
        if instance.phase in (Phase.DELETED, Phase.DELETING):
            return instance
        return await self._instances.update(instance.id, partial(lifecycle.ask_delete, actor=actor, now=self._clock.now()))

    async def restore(self, actor: Actor, instance_id: str) -> Instance:
        """Undo a deletion: same id, same data, another machine. Raises `StateConflict` once nothing is kept any more."""
        instance = await owned(self._instances, actor, instance_id)
        return await self._instances.update(
            instance.id, partial(lifecycle.ask_restore, actor=actor, now=self._clock.now()), caps=self._caps
        )

    async def logs(self, actor: Actor, instance_id: str, lines: int = 200, wish: LogWish = ALL_LINES) -> Sequence[LogLine]:
        """The newest lines of its OpenClaw's log that are wished for, oldest first; empty while it has no machine. They are sought among
        the newest `LINES_SOUGHT`."""
        instance = await self.get(actor, instance_id)
        if instance.machine_id is None:
            return []
        sought = lines if wish == ALL_LINES else LINES_SOUGHT
        seat = await seat_of(self._machines, instance)
        return chosen(await of_its_machine(self._gateways.logs(seat, sought)), wish)[-lines:]

    def log_wish(self, since: str | None = None, level: Level | None = None, search: str = "") -> LogWish:
        """The wish for lines since a moment, or since so long ago. Raises `InvalidInput`."""
        return LogWish(parse_since(since, self._clock.now()) if since else None, level, search)

    async def usage(self, actor: Actor, instance_id: str) -> Sequence[DayOfUse]:
        """What its OpenClaw used of the model in the newest days, the oldest first. Raises `StateConflict` while it does not run, and
        `Unavailable` where OpenClaw does not say."""
        instance = await running_instance(self._instances, actor, instance_id)
        return await of_its_machine(self._gateways.usage(await seat_of(self._machines, instance), DAYS_SHOWN))

    async def usual_waits(self) -> Mapping[Waiting, float]:
        """How long things usually take here, in seconds; without those that never happened here."""
        usual = waiting.usual_waits(await self._instances.recent_happenings(waiting.WAIT_EVENTS, waiting.LOOKED_AT))
        without_spare = await self._instances.recent_waits(waiting.RECENT)
        return usual | ({Waiting.MACHINE: statistics.median(without_spare)} if without_spare else {})

    def url(self, instance_id: InstanceId) -> str:
        """The public address of an instance."""
        return self._router.public_url(instance_id)

    async def wait_for_change(self, timeout_seconds: float) -> bool:
        """Wait until something may have changed, so that a live page looks again."""
        return await self._hints.wait(Topic.CHANGES, timeout_seconds)

    def _seal(self, instance_id: InstanceId, change: CredentialsChange) -> bytes | None:
        if not change.set and not change.remove:
            return None
        return self._sealer.seal(encode_change(change), instance_id)

    async def _sealed_change(self, instance: Instance, change: CredentialsChange) -> bytes:
        """`change` sealed, on top of one that has not reached the vault yet."""
        waiting = await self._instances.sealed_credentials(instance.id)
        if waiting is not None:
            earlier = decode_change(self._sealer.unseal(waiting[1], instance.id))
            change = CredentialsChange(change.apply_to(earlier.set), (earlier.remove | change.remove) - frozenset(change.set))
        return self._sealer.seal(encode_change(change), instance.id)


def _idempotency(key: str | None, request: CreateRequest) -> IdempotencyKey | None:
    if key is None:
        return None
    if not 0 < len(key) <= IDEMPOTENCY_KEY_MAX_LENGTH or not key.isprintable():
        raise InvalidInput(FieldProblem("Idempotency-Key", f"Use 1 to {IDEMPOTENCY_KEY_MAX_LENGTH} printable characters."))
    return IdempotencyKey(key, hashlib.sha256(_canonical(request)).hexdigest())


def _canonical(request: CreateRequest) -> bytes:
    settings = request.settings
    body: Mapping[str, object] = {
        "name": request.name,
        "provider": settings.provider,
        "model": settings.model,
        "base_url": settings.base_url,
        "channels": sorted(settings.channels),
        "credentials": dict(sorted(request.credentials.set.items())),
        **({} if request.point is None else {"restore_point": request.point.id}),
    }
    return json.dumps(body, sort_keys=True).encode()
