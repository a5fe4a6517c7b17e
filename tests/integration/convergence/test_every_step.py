"""Each call of each flow: killed right after it, failing once, its answer lost once. It converges, and nothing leaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.gateway import Credential, CredentialsChange, GatewaySettings, ModelProvider, encode_change
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.notice import INTERRUPTION_SECONDS, NoticeKind
from openclaw_hosted.ports.stores import NewInstance
from tests.integration.convergence.world import CAPS, LISTENING, OWNER, World, eventually
from tests.support.actors import acting_as
from tests.support.life import ask_restart, ask_restore, change
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.looptime

Ask = Callable[[World], Awaitable[InstanceId | None]]
"""Asks for a flow; answers with the instance that it is about, if any."""


async def new_spare(world: World) -> InstanceId | None:
    await world.store.platform.set_pool(paused=False)
    return None


async def placement(world: World) -> InstanceId | None:
    return (await world.create()).id


async def placement_with_a_key(world: World) -> InstanceId | None:
    names, key = frozenset({Credential.MODEL_API_KEY}), encode_change(CredentialsChange({Credential.MODEL_API_KEY: "sk-a-key-0001"}))
    new = NewInstance(OWNER, "n", GatewaySettings(ModelProvider.OPENAI), names, SystemIds().instance_id(), actor=acting_as(OWNER))
    now = world.clock.now()
    instance, _ = await world.store.instances.create(new, lambda instance_id: world.sealer.seal(key, instance_id), CAPS, None, now)
    return instance.id


async def update(world: World) -> InstanceId | None:
    """New settings with a key, and a restart."""
    instance = await the_instance(world)
    key = encode_change(CredentialsChange({Credential.MODEL_API_KEY: "sk-a-key-0001"}))
    await change(
        world.store, instance, world.clock.now(), settings=GatewaySettings(ModelProvider.OPENAI),
        credential_names=frozenset({Credential.MODEL_API_KEY}), sealed=world.sealer.seal(key, instance.id),
    )  # fmt: skip
    await ask_restart(world.store, instance, world.clock.now())
    return instance.id


async def deletion(world: World) -> InstanceId | None:
    instance = await the_instance(world)
    await world.delete(instance.id)
    return instance.id


async def restoration(world: World) -> InstanceId | None:
    instance = await the_instance(world)
    await ask_restore(world.store, instance.id, CAPS, world.clock.now())
    return instance.id


async def interruption(world: World) -> InstanceId | None:
    """The machine is to be taken away: the row says so, and the message comes once more."""
    instance = await the_instance(world)
    assert instance.machine_id is not None
    now = world.clock.now()
    rule = partial(lifecycle.notice, now=now, kind=NoticeKind.INTERRUPTION, leaves_at=now + INTERRUPTION_SECONDS)
    await world.store.machines.lose(instance.machine_id, rule)
    world.cloud.give_notice(NoticeKind.INTERRUPTION, instance.machine_id)
    return instance.id


async def the_instance(world: World) -> Instance:
    (instance,) = await world.store.instances.list_all()
    return instance


@dataclass(frozen=True)
class Flow:
    """What is asked for, what there is before, where it ends, and the calls that it makes."""

    ask: Ask
    before: Phase | None
    after: Phase | None
    calls: tuple[str, ...]
    also: tuple[str, ...] = ()
    """Calls that another flow has to show."""
    spare: bool = True
    warmth: Warmth = Warmth.HOT
    retention_seconds: float = 1000.0


TAKE_OVER = ("gateways.status", "gateways.apply", "router.bind", "router.probe", "machines.label", "router.mark")
RECORDED = ("vault.get", "vault.put")
BRING_DOWN = (
    "router.release",
    "gateways.stop",
    "volumes.list",
    "volumes.detach",
    "machines.terminate",
    "machines.observe",
    "router.forget",
    "vault.retire",
)
FLOWS = {
    "new_spare": Flow(new_spare, None, None, (
        "machines.launch", "machines.observe", "vault.get", "vault.restore", "vault.put", "vault.grant", "volumes.create",
        "gateways.start", "gateways.status", "router.prepare", "gateways.warm_up",
        "machines.label",
    ), spare=False),
    "placement": Flow(placement, None, Phase.RUNNING, TAKE_OVER, also=RECORDED),
    "placement_with_a_key": Flow(placement_with_a_key, None, Phase.RUNNING, RECORDED, also=TAKE_OVER),
    "cold_placement": Flow(placement, None, Phase.RUNNING, (
        "vault.get", "vault.restore", "vault.put", "vault.grant", "volumes.create", "volumes.look_at", "gateways.status", "gateways.start",
        "gateways.apply", "router.prepare", "machines.label", "router.bind", "router.mark", "router.probe",
    ), warmth=Warmth.BOOTED),
    "update": Flow(update, Phase.RUNNING, Phase.RUNNING, (
        "vault.get", "vault.put", "vault.grant", "gateways.restart", "gateways.status", "gateways.apply",
        "router.bind", "router.probe",
    )),
    "interruption": Flow(interruption, Phase.RUNNING, Phase.RUNNING, (
        "vault.get", "vault.grant", "volumes.look_at", "volumes.list", "gateways.status", "gateways.prepare", "gateways.suspend",
        "router.hold",
        "gateways.stop", "volumes.detach", "gateways.start", "gateways.apply", "router.release", "router.prepare", "machines.label",
        "router.bind", "router.mark", "router.probe", "machines.observe", "machines.terminate", "router.forget", "notices.confirm",
    ), also=RECORDED),
    "deletion": Flow(deletion, Phase.RUNNING, Phase.DELETED, BRING_DOWN),
    "restoration": Flow(restoration, Phase.DELETED, Phase.RUNNING, (
        "vault.get", "vault.restore", "vault.grant", "volumes.look_at", "gateways.status", "gateways.start", "gateways.apply",
        "router.release", "router.prepare", "machines.label", "router.bind", "router.mark", "router.probe",
    ), also=RECORDED),
    "purge": Flow(deletion, Phase.RUNNING, Phase.PURGED, (
        "points.remove", "vault.purge", "volumes.purge",
    ), also=BRING_DOWN, retention_seconds=0.0),
}  # fmt: skip
MADE_LATER = ("points.list", "points.make")
"""By the loop that looks after restore points, sooner or later: test_restore_points.py."""
STEPS = [(name, flow, call) for name, flow in FLOWS.items() for call in flow.calls]


def steps(turn: int) -> list[Any]:
    """All of them. In `make test` each call goes wrong in one of three ways, its turn; the simulation has all ways at all calls."""
    return [
        pytest.param(flow, call, id=f"{name}-{call}", marks=() if number % 3 == turn else pytest.mark.long)
        for number, (name, flow, call) in enumerate(STEPS)
    ]


@pytest.mark.parametrize("name", FLOWS)
async def test_no_call_of_a_flow_is_forgotten_here(world: World, name: str) -> None:
    flow, seen = FLOWS[name], set()

    async def record(call: str, _: str) -> None:
        seen.add(call)

    await arrive_before(world, flow)
    async with world.running(alone=True):
        await world.until_quiet()
        world.cloud.hook = record
        asked = await flow.ask(world)
        await arrive(world, flow, asked)
        world.cloud.hook = None
    assert seen - {"machines.room", LISTENING, *MADE_LATER} == {*flow.calls, *flow.also}


@pytest.mark.parametrize(("flow", "call"), steps(0))
async def test_a_control_plane_killed_after_a_call_converges_when_it_starts_again(world: World, flow: Flow, call: str) -> None:
    await arrive_before(world, flow)
    reached = asyncio.Event()

    async def hang(name: str, moment: str) -> None:
        if (name, moment) == (call, "after"):
            reached.set()
            await asyncio.Event().wait()

    async with world.running(alone=True):
        await world.until_quiet()
        world.cloud.hook = hang
        asked = await flow.ask(world)
        await asyncio.wait_for(reached.wait(), PATIENCE_SECONDS)
    world.cloud.calm()
    await converges(world, flow, asked)


@pytest.mark.parametrize(("flow", "call"), steps(1))
async def test_a_call_that_fails_once_is_made_again(world: World, flow: Flow, call: str) -> None:
    await arrive_before(world, flow)
    world.cloud.fail_next(call, Unavailable("It did not work."))
    asked = await flow.ask(world)
    await converges(world, flow, asked)


@pytest.mark.parametrize(("flow", "call"), steps(2))
async def test_a_call_whose_answer_is_lost_is_made_again(world: World, flow: Flow, call: str) -> None:
    await arrive_before(world, flow)
    world.cloud.lose_answer(call)
    asked = await flow.ask(world)
    await converges(world, flow, asked)


async def arrive_before(world: World, flow: Flow) -> None:
    """What the flow starts from: a spare or none, and the instance in its phase; the pool is paused."""
    world.options = replace(world.options, retention_seconds=flow.retention_seconds, warmth=flow.warmth)
    if flow.spare:
        async with world.running():
            if flow.before is not None:
                await world.until_full()
                instance = await world.create()
                await world.until_phase(instance.id, Phase.RUNNING)
                if flow.before is Phase.DELETED:
                    await world.delete(instance.id)
                    await world.until_phase(instance.id, Phase.DELETED)
            await world.until_full()
    await world.store.platform.set_pool(paused=True)


async def arrive(world: World, flow: Flow, asked: InstanceId | None) -> None:
    if asked is None or flow.after is None:
        await world.until_full()
    else:
        await world.until_phase(asked, flow.after)


async def converges(world: World, flow: Flow, asked: InstanceId | None) -> None:
    await world.store.platform.set_pool(paused=False)
    async with world.running():
        await arrive(world, flow, asked)
        await world.until_full()
        await eventually(world.is_clean, lambda: "something was left over")
        await world.nothing_leaked()
