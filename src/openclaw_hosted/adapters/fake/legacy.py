"""A fake older system, in memory, and the way of its users' states to the fake provider's volumes and back.

A state is what was said: a list of lines. Whoever serves a user appends to it (`say`). Knobs and faults are the fake cloud's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakeMachine
from openclaw_hosted.domain.errors import Conflict, NotFound
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.migration import OldService, OldSettings, OldState
from openclaw_hosted.domain.naming import InstanceId, VolumeId
from openclaw_hosted.domain.old_things import OldThing
from openclaw_hosted.ports.legacy import Arrival, OldStatus, StateSize

HELD = "held"


@dataclass
class FakeOldService:
    """One user's service."""

    service: OldService
    settings: OldSettings = field(default_factory=OldSettings)
    desired: int = 1
    running: int = 1
    stops_at: float | None = None
    """When a task that was told to end has ended."""
    comes_at: float | None = None
    route: str = "old"
    """`old`, `held`, or where it leads to."""


@dataclass
class FakeOld:
    """The older system, and what of its states stands on the new side."""

    cloud: FakeCloud
    stop_seconds: float = 5.0
    start_seconds: float = 8.0
    users: dict[str, FakeOldService] = field(default_factory=dict)
    states: dict[str, list[str]] = field(default_factory=dict)
    """By place."""
    incoming: dict[VolumeId, tuple[str, list[str]]] = field(default_factory=dict)
    """By volume: the mark of the attempt, and what was brought."""
    installed: dict[VolumeId, tuple[str, list[str]]] = field(default_factory=dict)
    belongings: list[OldThing] = field(default_factory=list)

    def add(self, service: OldService, settings: OldSettings | None = None, said: Sequence[str] = ()) -> FakeOldService:
        """One more user."""
        made = self.users[service.user] = FakeOldService(service, settings or OldSettings())
        if service.state.is_kept:
            self.states[service.state.place] = list(said)
        return made

    def catch_up(self) -> None:
        """Let happen what was to happen by now."""
        now = self.cloud.clock.now()
        for each in self.users.values():
            if each.stops_at is not None and each.stops_at <= now:
                each.running, each.stops_at = 0, None
            if each.comes_at is not None and each.comes_at <= now:
                each.running, each.comes_at = each.desired, None

    def machine_of(self, instance_id: InstanceId) -> FakeMachine | None:
        """The machine whose gateway answers for it."""
        for machine in self.cloud.machines.values():
            if machine.spec is not None and machine.spec.instance_id == instance_id and self.cloud.ready(machine):
                return machine
        return None

    def say(self, user: str, line: str) -> str | None:
        """A user says something at the old address: who took it, `old` or an instance's id; None where a page says to wait."""
        self.catch_up()
        found = self.users[user]
        if found.route == "old":
            if found.running < 1:
                return None
            self.states[found.service.state.place].append(line)
            return "old"
        if found.route == HELD:
            return None
        instance_id = InstanceId(found.route.rstrip("/").rpartition("/")[2])
        machine = self.machine_of(instance_id)
        if machine is None or machine.spec is None:
            return None
        self.installed.setdefault(machine.spec.volume_id, ("", []))[1].append(line)
        return instance_id

    def check_exclusive(self) -> None:
        """Raise where two gateways are on one user's state, or speak for one bot."""
        self.catch_up()
        for user, each in self.users.items():
            if each.running < 1:
                continue
            for machine in self.cloud.machines.values():
                if machine.spec is None or not self.cloud.ready(machine):
                    continue
                mark, _ = self.installed.get(machine.spec.volume_id, ("", []))
                if mark.rpartition("-")[0] == user:
                    raise AssertionError(f"two gateways are on the state of {user}")
                if machine.spec.settings.channels and self._has_bot_of(machine.spec.instance_id, each):
                    raise AssertionError(f"two gateways speak for the bot of {user}")

    def _has_bot_of(self, instance_id: InstanceId, service: FakeOldService) -> bool:
        secret, token = self.cloud.secrets.get(instance_id), service.settings.credentials.get(Credential.TELEGRAM_BOT_TOKEN)
        return secret is not None and token is not None and secret.document.get(Credential.TELEGRAM_BOT_TOKEN) == token


class FakeLegacy:
    """`Legacy` in memory."""

    def __init__(self, old: FakeOld) -> None:
        self._old = old

    async def services(self) -> Sequence[OldService]:
        async with self._old.cloud.call("legacy.services"):
            return [each.service for each in self._old.users.values()]

    async def settings(self, service: OldService) -> OldSettings:
        async with self._old.cloud.call("legacy.settings"):
            return self._found(service).settings

    async def status(self, service: OldService) -> OldStatus:
        async with self._old.cloud.call("legacy.status"):
            found = self._found(service)
            left = max(found.running, found.desired) if found.comes_at is not None else found.running
            return OldStatus(found.desired, found.running, left)

    async def scale(self, service: OldService, desired: int) -> None:
        async with self._old.cloud.call("legacy.scale"):
            found, now = self._found(service), self._old.cloud.clock.now()
            if found.desired == desired:
                return
            found.desired = desired
            found.stops_at = now + self._old.stop_seconds if desired == 0 and found.running else None
            found.comes_at = now + self._old.start_seconds if desired else None

    async def route(self, service: OldService) -> str:
        async with self._old.cloud.call("legacy.route"):
            return f"{service.user}|{self._found(service).route}"

    async def hold(self, route: str) -> None:
        async with self._old.cloud.call("legacy.hold"):
            self._old.users[route.partition("|")[0]].route = HELD

    async def lead(self, route: str, url: str) -> None:
        async with self._old.cloud.call("legacy.lead"):
            self._old.users[route.partition("|")[0]].route = url

    async def restore_route(self, route: str) -> None:
        async with self._old.cloud.call("legacy.restore_route"):
            user, _, before = route.partition("|")
            self._old.users[user].route = before

    async def things(self) -> Sequence[OldThing]:
        async with self._old.cloud.call("legacy.things"):
            return list(self._old.belongings)

    async def remove(self, thing: OldThing) -> bool:
        async with self._old.cloud.call("legacy.remove"):
            if thing in self._old.belongings:
                self._old.belongings.remove(thing)
            return True

    def _found(self, service: OldService) -> FakeOldService:
        self._old.catch_up()
        if service.user not in self._old.users:
            raise NotFound(f"There is no service of {service.user}.")
        return self._old.users[service.user]


class FakeStateCopies:
    """`StateCopies` between a fake older system and a fake provider."""

    def __init__(self, old: FakeOld) -> None:
        self._old = old

    async def check(self, state: OldState) -> StateSize:
        async with self._old.cloud.call("copies.check"):
            return _size(self._state(state))

    async def with_keys(self, state: OldState, found: OldSettings) -> OldSettings:
        async with self._old.cloud.call("copies.with_keys"):
            self._state(state)
            return found

    async def bring(self, state: OldState, arrival: Arrival) -> StateSize:
        async with self._old.cloud.call("copies.bring"):
            return self._bring(state, arrival)

    async def settle(self, state: OldState, arrival: Arrival) -> None:
        async with self._old.cloud.call("copies.settle"):
            self._check_nobody_writes(state)
            self._bring(state, arrival)

    async def install(self, arrival: Arrival) -> None:
        async with self._old.cloud.call("copies.install"):
            volume = self._volume(arrival)
            if self._old.installed.get(volume, ("", []))[0] == arrival.mark:
                return
            mark, lines = self._old.incoming.get(volume, ("", []))
            if mark != arrival.mark:
                raise Conflict("Nothing was brought for this attempt.")
            machine = self._machine(arrival)
            if not machine.suspended and machine.stands_by_until is None:
                raise Conflict("The gateway writes, so its state can't be exchanged.")
            self._old.installed[volume] = (mark, lines)
            del self._old.incoming[volume]

    async def carry_back(self, arrival: Arrival, state: OldState) -> None:
        async with self._old.cloud.call("copies.carry_back"):
            self._check_nobody_writes(state)
            if not self._machine(arrival).suspended:
                raise Conflict("The gateway writes, so its state can't be copied.")
            self._state(state)[:] = self._old.installed[self._volume(arrival)][1]

    def _bring(self, state: OldState, arrival: Arrival) -> StateSize:
        before, now = self._old.incoming.get(self._volume(arrival), ("", []))[1], self._state(state)
        self._old.incoming[self._volume(arrival)] = (arrival.mark, list(now))
        return _size(now[len(before) :])

    def _check_nobody_writes(self, state: OldState) -> None:
        self._old.catch_up()
        if any(each.running for each in self._old.users.values() if each.service.state == state):
            raise AssertionError("the old service wrote while its state was copied for good")

    def _state(self, state: OldState) -> list[str]:
        if state.place not in self._old.states:
            raise NotFound(f"The state at {state.place} can't be reached.")
        return self._old.states[state.place]

    def _machine(self, arrival: Arrival) -> FakeMachine:
        return self._old.cloud.machine(arrival.seat.provider_ref)

    def _volume(self, arrival: Arrival) -> VolumeId:
        if arrival.volume_id not in self._old.cloud.volumes:
            raise NotFound(f"There is no volume {arrival.volume_id}.")
        return arrival.volume_id


def _size(lines: Sequence[str]) -> StateSize:
    return StateSize(len(lines), sum(len(line) for line in lines))
