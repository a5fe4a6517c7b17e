"""Users: what they ask for, what they were answered, and what they therefore may expect."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw_hosted.domain.account import Role, Session, User
from openclaw_hosted.domain.actor import Actor, Via
from openclaw_hosted.domain.errors import (
    InvalidInput,
    LimitReached,
    NotAllowed,
    NotFound,
    OpenClawHostedError,
    PortError,
    RevisionMoved,
    StateConflict,
)
from openclaw_hosted.domain.gateway import Credential, CredentialsChange, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import DesiredState, Instance
from openclaw_hosted.domain.naming import InstanceId, UserId, volume_of
from openclaw_hosted.domain.restore_point import PointState
from openclaw_hosted.services.instances import ChangeRequest, CreateRequest
from openclaw_hosted.store.accounts import SqlAccounts
from simulation.ids import CLEAR, EPOCH
from simulation.invariants import Violation
from simulation.plan import Act
from simulation.plane import Asking
from simulation.world import World

TRIES = 4
REFUSALS = (NotAllowed, LimitReached, StateConflict, InvalidInput, NotFound, RevisionMoved)
"""Answers that say that nothing was done; of any other error a user can't tell."""


@dataclass
class Owned:
    """An instance as its user knows it."""

    id: InstanceId
    owner: User
    desired: set[DesiredState] = field(default_factory=lambda: {DesiredState.RUNNING})
    """What it may be; two where no answer came."""
    keys: set[str | None] = field(default_factory=set)
    """What the model's key may be."""
    written: int = 0
    """How much its OpenClaw had written when the user last saw it."""
    least: int | None = None
    """Where it may go back to at any time, once its user asked for that: the answer may have been lost, and the request may be late."""


class People:
    """All users. What they do to one instance they do one thing after the other, as people do."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.users = [User(UserId(f"us-{name}"), f"{name}@example.com", Role.USER, EPOCH) for name in ("ada", "bob", "eve")]
        self.owned: dict[InstanceId, Owned] = {}
        self._busy: dict[InstanceId, asyncio.Lock] = {}
        self._sign_ins: Counter[UserId] = Counter()
        self._secrets = 0
        self._requests = 0

    async def arrive(self) -> None:
        """They have accounts, and are signed in."""
        accounts = SqlAccounts(self._world.database)
        for user in self.users:
            await accounts.add_user(user, None, None)
            await accounts.add_session(self._session(user), None)

    def _session(self, user: User) -> Session:
        return Session(f"session {self._sign_ins[user.id]} of {user.id}", user.id, EPOCH, EPOCH + 1e6)

    async def create(self, act: Act) -> None:
        """Ask for an instance, with the same idempotency key until there is an answer, and now and then once more after it."""
        user = self._user(act)
        self._requests += 1
        key, secret = f"key-{self._requests}", self._new_secret() if act.size < 0.5 else None
        settings = GatewaySettings(ModelProvider.OPENAI) if secret else GatewaySettings()
        request = CreateRequest(
            f"number {self._requests}", settings, CredentialsChange({Credential.MODEL_API_KEY: secret} if secret else {})
        )
        answers: list[Instance] = []
        for _ in range(2 if act.size % 0.1 < 0.03 else 1):
            answer = await self.ask(lambda at: at.instances.create(acting(user), request, key))
            if answer is not None:
                answers.append(answer[0])
        made = {row.id for row in self._world.rows.instances.values() if row.name == request.name}
        if len(made) > 1 or len({answer.id for answer in answers}) > 1:
            raise Violation(8, f"{key} has made {sorted(made)}")
        for instance_id in made:
            self.owned[instance_id] = Owned(instance_id, user, keys={secret})
            self._busy[instance_id] = asyncio.Lock()

    async def change(self, act: Act) -> None:
        """Give the model's key anew."""
        await self._to_one(act, self.change_one)

    async def change_one(self, owned: Owned) -> None:
        """Give the key of this one anew; where no answer comes, it may be either."""
        secret = self._new_secret()
        request = ChangeRequest(
            settings=GatewaySettings(ModelProvider.OPENAI), credentials=CredentialsChange({Credential.MODEL_API_KEY: secret})
        )
        owned.keys.add(secret)
        answer = await self.ask(lambda at: at.instances.change(acting(owned.owner), owned.id, request))
        if answer is not None:
            owned.keys = {secret}

    async def change_of(self, owner: User, instance_id: InstanceId) -> None:
        """Give a new key to one that came from the older system."""
        request = ChangeRequest(credentials=CredentialsChange({Credential.MODEL_API_KEY: self._new_secret()}))
        await self.ask(lambda at: at.instances.change(acting(owner), instance_id, request))

    async def restart(self, act: Act) -> None:
        """Restart one."""
        await self._to_one(act, lambda owned: self.ask(lambda at: at.instances.restart(acting(owned.owner), owned.id)))

    async def delete(self, act: Act) -> None:
        """Delete one."""
        await self._to_one(act, self.delete_one)

    async def delete_one(self, owned: Owned) -> None:
        """Delete this one."""
        owned.desired.add(DesiredState.DELETED)
        if await self.ask(lambda at: at.instances.delete(acting(owned.owner), owned.id)) is not None:
            owned.desired = {DesiredState.DELETED}

    async def restore(self, act: Act) -> None:
        """Undo a deletion."""
        deleted = [owned for owned in self.owned.values() if DesiredState.DELETED in owned.desired]
        if not deleted:
            return
        owned = deleted[int(act.pick * len(deleted))]
        async with self._busy[owned.id]:
            owned.desired.add(DesiredState.RUNNING)
            if await self.ask(lambda at: at.instances.restore(acting(owned.owner), owned.id)) is not None:
                owned.desired = {DesiredState.RUNNING}

    async def open(self, act: Act) -> None:
        """Open one and use it; another user tries the same, and must not get in."""
        await self._to_one(act, self.open_one)

    async def open_one(self, owned: Owned) -> None:
        """Open this one."""
        session = self._session(owned.owner)
        opened = await self.ask(lambda at: at.opening.open(acting(owned.owner), session, owned.id))
        if opened is not None:
            await self.ask(lambda at: at.opening.redeem(acting(owned.owner), session, owned.id))
        self.use(owned)
        stranger = next(user for user in self.users if user.id != owned.owner.id)
        if await self.ask(lambda at: at.opening.open(acting(stranger), self._session(stranger), owned.id)) is not None:
            raise Violation(7, f"{stranger.id} may open {owned.id}, which is {owned.owner.id}'s")
        if self._world.cloud.reached(owned.id, self._session(stranger).hash) is not None:
            raise Violation(7, f"{stranger.id} reaches {owned.id}, which is {owned.owner.id}'s")

    def use(self, owned: Owned) -> bool:
        """Read what was written before and write more, where the address leads to its gateway; whether it does."""
        cloud = self._world.cloud
        if cloud.reached(owned.id, self._session(owned.owner).hash) is None:
            return False
        volume = cloud.volumes[volume_of(owned.id)]
        if volume.written < owned.written:
            raise Violation(6, f"{owned.id} had written {owned.written} times, and {volume.written} are left")
        volume.written += 1
        owned.written = volume.written if owned.least is None else min(volume.written, owned.least)
        return True

    async def make_point(self, act: Act) -> None:
        """Ask for a restore point."""
        await self._to_one(act, lambda owned: self.ask(lambda at: at.restore_points.ask(acting(owned.owner), owned.id)))

    async def rewind(self, act: Act) -> None:
        """Go back to a restore point, if there is one."""
        await self._to_one(act, self.rewind_one)

    async def rewind_one(self, owned: Owned) -> None:
        """Have this one go back."""
        found = await self.ask(lambda at: at.restore_points.list(acting(owned.owner), owned.id))
        point = next((each for each in found or () if each.state is PointState.READY and each.id in self._world.cloud.points), None)
        if point is None:
            return
        holds = self._world.cloud.points[point.id].written
        owned.least = holds if owned.least is None else min(owned.least, holds)
        owned.written = min(owned.written, owned.least)
        await self.ask(lambda at: at.restore_points.rewind(acting(owned.owner), owned.id, point.id))

    def forget(self, traceless: Sequence[InstanceId]) -> None:
        """Of these nothing is left, not even a row."""
        for instance_id in traceless:
            self.owned.pop(instance_id, None)

    async def sign_out(self, act: Act) -> None:
        """Sign out, and in again a little later."""
        user = self._user(act)
        accounts = SqlAccounts(self._world.database)
        await accounts.end_session(self._session(user).hash)
        await asyncio.sleep(12)
        self._sign_ins[user.id] += 1
        await accounts.add_session(self._session(user), None)

    async def _to_one(self, act: Act, do: Callable[[Owned], Awaitable[Any]]) -> None:
        mine = list(self.owned.values())
        if mine:
            owned = mine[int(act.pick * len(mine))]
            async with self._busy[owned.id]:
                await do(owned)

    async def ask(self, request: Callable[[Asking], Any]) -> Any:
        """What some control plane answers, asked again where none comes; None where it is refused, or no answer comes at all."""
        for attempt in range(TRIES):
            planes = [plane for plane in self._world.planes.values() if not plane.process.is_stopped]
            if planes:
                plane = planes[int(self._world.random.random() * len(planes))]
                try:
                    return await plane.ask(request(plane.asking))
                except REFUSALS:
                    return None
                except PortError:
                    pass
                except OpenClawHostedError as error:
                    raise Violation(9, f"a user was answered {type(error).__name__}: {error}") from None
            await asyncio.sleep(0.5 + 2 * attempt)
        return None

    def _user(self, act: Act) -> User:
        return self.users[int(act.pick * len(self.users))]

    def _new_secret(self) -> str:
        self._secrets += 1
        return f"{CLEAR}of-a-user-{self._secrets}"


def acting(user: User) -> Actor:
    """As this user, by the API."""
    return Actor(user.id, user.role, Via.API)
