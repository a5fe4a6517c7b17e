"""Create, change, restart, delete and restore an instance: each writes what is wanted and gives a hint; controllers do the rest."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, NotFound, RevisionMoved, StateConflict
from openclaw_hosted.domain.gateway import (
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
from openclaw_hosted.domain.naming import InstanceId, clean_display_name, is_instance_id
from openclaw_hosted.domain.shards import Shards
from openclaw_hosted.domain.text import folded
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.gateways import Gateways
from openclaw_hosted.ports.router import Router
from openclaw_hosted.ports.stores import Caps, Hints, IdempotencyKey, InstanceStore, MachineStore, NewInstance
from openclaw_hosted.ports.vault import Sealer
from openclaw_hosted.services.reach import own_instance, seat_of

IDEMPOTENCY_KEY_MAX_LENGTH = 200
CHANGE_ATTEMPTS = 5
"""How often a change is tried again that another one overtook."""


RECENT_WAITS = 9
"""Few enough to be of this computer as it is now."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a user asks for. The credentials are never printed."""

    name: str
    settings: GatewaySettings
    credentials: CredentialsChange


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """What a user wants changed; None leaves a part as it is."""

    name: str | None = None
    settings: GatewaySettings | None = None
    credentials: CredentialsChange | None = None


class InstanceService:
    """What users may do with their instances. Another user's instance is answered like one that does not exist."""

    def __init__(
        self,
        instances: InstanceStore,
        machines: MachineStore,
        gateways: Gateways,
        router: Router,
        sealer: Sealer,
        hints: Hints,
        clock: Clock,
        ids: Ids,
        caps: Caps,
        shards: Shards,
    ) -> None:
        self._instances = instances
        self._machines = machines
        self._gateways = gateways
        self._router = router
        self._sealer = sealer
        self._hints = hints
        self._clock = clock
        self._ids = ids
        self._caps = caps
        self._shards = shards

    async def create(self, user: User, request: CreateRequest, idempotency_key: str | None = None) -> tuple[Instance, bool]:
        """The new instance, or the one that the same key made before, and whether it is new. Calls no provider."""
        name = clean_display_name(request.name)
        check_credentials(request.credentials.set)
        names = frozenset(request.credentials.set)
        check_settings(request.settings, names)
        new = NewInstance(user.id, name, request.settings, names, await self._fallback_id(), self._shards.full)
        instance, is_new = await self._instances.create(
            new,
            lambda instance_id: self._seal(instance_id, with_stand_in(request.credentials, request.settings, names)),
            self._caps,
            _idempotency(idempotency_key, request),
            self._clock.now(),
        )
        return instance, is_new

    async def _fallback_id(self) -> InstanceId | None:
        """An id for when no spare is free, where there is room for another route."""
        if not self._shards.count:
            return self._ids.instance_id()
        shards = self._shards.allot(await self._instances.routed_ids(), 1)
        return self._ids.instance_id(shards[0]) if shards else None

    async def get(self, user: User, instance_id: str) -> Instance:
        """One of the user's own. Raises `NotFound`."""
        return await own_instance(self._instances, user, instance_id)

    async def list(self, user: User) -> Sequence[Instance]:
        """The user's own, newest first."""
        return await self._instances.list_for(user.id)

    async def steps(self, user: User, instance_id: str) -> Sequence[Step]:
        """The steps of one of the user's own instances, in the order in which they began."""
        instance = await self.get(user, instance_id)
        return await self._instances.steps(instance.id)

    async def change(self, user: User, instance_id: str, request: ChangeRequest, *, expected_revision: int | None = None) -> Instance:
        """Change name, settings or credentials; brought into force without a restart where OpenClaw can.

        Raises `RevisionMoved` when `expected_revision` is not the present one.
        """
        for _ in range(CHANGE_ATTEMPTS):
            with suppress(RevisionMoved):
                return await self._change_once(user, instance_id, request, expected_revision)
            if expected_revision is not None:
                break
        raise RevisionMoved("It was changed meanwhile. Reload, and make your change again.")

    async def _change_once(self, user: User, instance_id: str, request: ChangeRequest, expected_revision: int | None) -> Instance:
        """Credentials are merged with those that wait for the vault, so nothing may have changed since the instance was read."""
        instance = await self.get(user, instance_id)
        if expected_revision not in (None, instance.revision):
            raise RevisionMoved
        name = None if request.name is None else clean_display_name(request.name)
        settings = request.settings or instance.settings
        credentials = request.credentials or CredentialsChange()
        check_credentials(credentials.set)
        names = (instance.credential_names - credentials.remove) | frozenset(credentials.set)
        check_settings(settings, names)
        if settings != instance.settings or credentials.remove:
            credentials = with_stand_in(credentials, settings, names)
        changes_secrets = bool(credentials.set or credentials.remove)
        sealed = await self._sealed_change(instance, credentials) if changes_secrets else None
        rule = partial(
            lifecycle.change,
            now=self._clock.now(),
            name=name,
            settings=settings if settings != instance.settings else None,
            credential_names=names if changes_secrets else None,
            sealed=sealed,
            expected_revision=instance.revision if changes_secrets else expected_revision,
        )
        return await self._instances.update(instance.id, rule)

    async def restart(self, user: User, instance_id: str) -> Instance:
        """Restart its OpenClaw; a failed instance is tried again from the start."""
        instance = await self.get(user, instance_id)
        return await self._instances.update(instance.id, partial(lifecycle.ask_restart, now=self._clock.now()))

    async def delete(self, user: User, instance_id: str, *, typed_name: str | None = None) -> Instance:
        """Delete it; `restore` undoes that while what it kept lasts. `typed_name`, where given, has to be its name."""
        instance = await self.get(user, instance_id)
        if typed_name is not None and folded(typed_name) != folded(instance.name):
            raise InvalidInput(FieldProblem("typed_name", f"Type the name exactly as it stands: {instance.name}"))
        if instance.phase in (Phase.DELETED, Phase.DELETING):
            return instance
        return await self._instances.update(instance.id, partial(lifecycle.ask_delete, now=self._clock.now()))

    async def restore(self, user: User, instance_id: str) -> Instance:
        """Undo a deletion: same id, same data, another machine. Raises `StateConflict` once nothing is kept any more."""
        if not is_instance_id(instance_id):
            raise NotFound(f"There is no instance {instance_id[:40]!r}.")
        instance = await self._instances.get(InstanceId(instance_id))
        if instance.owner_id != user.id:
            raise NotFound(f"There is no instance {instance_id!r}.")
        if instance.phase is Phase.PURGED:
            raise StateConflict("What it kept was destroyed after the time for undo had passed; create a new instance.")
        return await self._instances.update(instance.id, partial(lifecycle.ask_restore, now=self._clock.now()), caps=self._caps)

    async def logs(self, user: User, instance_id: str, lines: int = 200) -> Sequence[str]:
        """The newest lines of its OpenClaw's log, oldest first; empty while it has no machine."""
        instance = await self.get(user, instance_id)
        if instance.machine_id is None:
            return []
        return await self._gateways.logs(await seat_of(self._machines, instance), lines)

    async def usual_wait(self) -> float | None:
        """How long an instance usually takes here for which no spare is free, in seconds; None where there was none yet."""
        waits = await self._instances.recent_waits(RECENT_WAITS)
        return statistics.median(waits) if waits else None

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
    }
    return json.dumps(body, sort_keys=True).encode()
