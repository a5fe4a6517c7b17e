"""A store, a fast lab, and control planes on them that can be killed and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from lab.plain import PlainLab
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.controllers import ControllerOptions, ControlLoops, Ports
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.domain.gateway import (
    DEFAULT_SETTINGS,
    Credential,
    CredentialsChange,
    GatewaySettings,
    ModelProvider,
    encode_change,
)
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.ports.stores import Caps, NewInstance
from openclaw_hosted.ports.tracing import Watch
from openclaw_hosted.store import Store
from tests.support.actors import acting_as
from tests.support.aws import provided_on
from tests.support.clock import HurriedClock
from tests.support.life import ask_delete
from tests.support.store import leases_run_out
from tests.support.waiting import PATIENCE_SECONDS, until

CLOCK = HurriedClock()
OWNER = UserId("u-owner")
CAPS = Caps(1000, 1000)
KEY = "sk-a-key-of-the-user-0001"
WITH_KEY = (GatewaySettings(ModelProvider.OPENAI), CredentialsChange({Credential.MODEL_API_KEY: KEY}))
NEVER = 1e9
"""Seconds between the rounds of a loop that a test does without: more than a slow run takes, by the hurried clock too."""
QUICK: Mapping[str, float] = {
    "scan_seconds": 0.1, "poll_seconds": 0.3, "retry_base_seconds": 0.1, "retry_cap_seconds": 0.5, "liveness_seconds": 0.3,
    "orphans_seconds": 0.3, "orphan_grace_seconds": 15.0, "gateway_ready_seconds": 300.0, "away_seconds": 0.2, "metering_seconds": NEVER,
    "quarantine_seconds": 30.0,
}  # fmt: skip
"""How the loops are paced here, in seconds; what else AWS is given stays. Patience and graces are by the hurried clock."""


@dataclass
class AwsWorld:
    """What outlives a control plane."""

    lab: PlainLab
    store: Store
    changes: dict[str, str] = field(default_factory=dict)
    """Settings that differ from the lab's."""
    spares: int = 1
    hears: bool = False
    """Whether the queue of notices is read, which is a call every now and then."""
    ready_timeout_seconds: float = 120.0
    fleet_cap: int = 20
    options: dict[str, float] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)

    @asynccontextmanager
    async def control_plane(self) -> AsyncIterator[ControlPlane]:
        """One with its loops at work, killed at the end of the block."""
        async with AsyncExitStack() as stack:
            provided = await stack.enter_async_context(provided_on(self.lab.site, self.watch, **self.changes))
            plane = ControlPlane(self, provided)
            task = asyncio.create_task(plane.loops.run())
            try:
                yield plane
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await leases_run_out(self.store)

    async def clear(self) -> None:
        """End everything that a test left in the account; a call of a killed control plane may still take effect meanwhile."""

        async def cleared() -> bool:
            with suppress(Conflict):
                await self._clear()
                return True
            return False

        await until(cleared, every=0.1)

    async def _clear(self) -> None:
        async with provided_on(self.lab.site, **self.changes) as provided:
            for route in await provided.router.list():
                await provided.router.release(route.instance_id)
            for machine in await provided.machines.observe():
                await provided.machines.terminate(machine.provider_ref)

            async def nothing() -> bool:
                return not await provided.machines.observe()

            await until(nothing)
            for machine_id in await provided.router.machines():
                await provided.router.forget(machine_id)
            for instance_id in await provided.vault.list():
                await provided.vault.purge(instance_id)
            for volume in await provided.volumes.list():
                await provided.volumes.purge(volume.volume_id, volume.instance_id or InstanceId(volume.volume_id))


class ControlPlane:
    """A control plane that runs."""

    def __init__(self, world: AwsWorld, provided: Provided) -> None:
        self._world = world
        self.store = world.store
        self.provided = provided
        policy = replace(
            provided.options.policy, spares=world.spares, fleet_cap=world.fleet_cap, backoff_seconds=0.2, backoff_cap_seconds=0.5
        )
        policy = replace(policy, ready_timeout_seconds=world.ready_timeout_seconds)
        self.options: ControllerOptions = replace(provided.options, policy=policy, **{**QUICK, **world.options})  # type: ignore[arg-type]
        store = world.store
        self.ports = Ports(
            provided.machines, provided.gateways, provided.vault, provided.sealer, provided.router, provided.gate, provided.volumes,
            provided.meter, CLOCK, SystemIds(), store.machines, store.instances, store.accounts, store.platform, provided.points,
            store.restore_points, store.hints,
            notices=provided.notices if world.hears else None, watch=world.watch,
        )  # fmt: skip
        self.loops = ControlLoops(self.ports, self.options)

    async def create(self, settings: GatewaySettings = DEFAULT_SETTINGS, change: CredentialsChange | None = None) -> Instance:
        """As a user's request does it."""
        names = frozenset(change.set) if change else frozenset()
        shard = self.options.shards.allot(await self.store.instances.routed_ids(), 1)
        new = NewInstance(
            OWNER,
            "Mine",
            settings,
            names,
            SystemIds().instance_id(shard[0]) if shard else None,
            self.options.shards.full,
            actor=acting_as(OWNER),
        )
        instance, _ = await self.store.instances.create(
            new, lambda instance_id: self.provided.sealer.seal(encode_change(change), instance_id) if change else None,
            CAPS, None, CLOCK.now(),
        )  # fmt: skip
        return instance

    async def delete(self, instance_id: InstanceId) -> None:
        await ask_delete(self.store, instance_id, CLOCK.now())

    async def until_phase(self, instance_id: InstanceId, phase: Phase, seconds: float = PATIENCE_SECONDS) -> Instance:
        async def reached() -> bool:
            return (await self.store.instances.get(instance_id)).phase is phase

        await until(reached, seconds)
        return await self.store.instances.get(instance_id)

    async def until_filed(self, instance_id: InstanceId, seconds: float = PATIENCE_SECONDS) -> Instance:
        """Wait until all is written that its user did not wait for."""

        async def filed() -> bool:
            instance = await self.store.instances.get(instance_id)
            return instance.phase is Phase.RUNNING and instance.is_filed

        await until(filed, seconds)
        return await self.store.instances.get(instance_id)

    async def until_full(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the pool has all its spares, and no machine is under way."""

        async def full() -> bool:
            live = await self.store.machines.list_live()
            unsettled = any(machine.state in (MachineState.INITIALIZING, MachineState.TERMINATING) for machine in live)
            return not unsettled and sum(machine.state is MachineState.AVAILABLE for machine in live) == self._world.spares

        await until(full, seconds)

    async def until_clean(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until everything that exists belongs to a row, and each row has what it needs once."""

        async def clean() -> bool:
            return not await self.leftovers()

        try:
            await until(clean, seconds, every=0.2)
        except TimeoutError:
            raise AssertionError("\n".join(await self.leftovers())) from None

    async def leftovers(self) -> list[str]:
        """What is too much or missing in the account, in plain words."""
        live = await self.store.machines.list_live()
        instances = [each for each in await self.store.instances.list_all() if each.phase is not Phase.PURGED]
        reserved = {machine.reserved_instance_id for machine in live if machine.state is not MachineState.TERMINATING}
        spare = {machine.reserved_instance_id for machine in live if machine.state is MachineState.AVAILABLE}
        kept = {instance.id for instance in instances}
        running = {instance.id for instance in instances if instance.phase is Phase.RUNNING}
        provided = self.provided
        found: dict[str, tuple[set[Any], set[Any]]] = {
            "machines": ({m.machine_id for m in await provided.machines.observe()}, {machine.id for machine in live}),
            "routes": ({route.instance_id for route in await provided.router.list()}, running | spare),
            "target groups": (set(await provided.router.machines()), set() if provided.edge else {machine.id for machine in live}),
            "secrets": (set(await provided.vault.list()), kept | reserved),
            "volumes": ({v.instance_id for v in await provided.volumes.list()}, kept | reserved),
        }
        return [f"{kind}: {sorted(map(str, there ^ wanted))}" for kind, (there, wanted) in found.items() if there != wanted]
