"""Each AWS call of the 9 steps of a deployment and of the 7 of a deletion: failed, killed after its effect, its answer lost.

SEED.md's flows. A spare takes the steps of secret, container, target group, target and rule before its user comes, so all three
parts are gone through: a spare that comes up, a user who gets it, a user who leaves.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lab.cloud.faults import Loss
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.naming import InstanceId
from tests.integration.aws.world import WITH_KEY, AwsWorld, ControlPlane

SPARE = (
    "ec2:CreateFleet", "ssm:DescribeInstanceInformation", "secretsmanager:CreateSecret", "secretsmanager:TagResource", "ec2:CreateTags",
    "ssm:SendCommand", "ssm:GetCommandInvocation", "elasticloadbalancing:CreateTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:CreateRule",
)  # fmt: skip
DEPLOYMENT = (
    "secretsmanager:PutSecretValue", "ssm:SendCommand", "ssm:GetCommandInvocation", "ec2:CreateTags",
    "elasticloadbalancing:ModifyRule",
)  # fmt: skip
DELETION = (
    "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:DeleteRule", "elasticloadbalancing:DeleteTargetGroup",
    "ssm:SendCommand", "ec2:DetachVolume", "ec2:TerminateInstances", "secretsmanager:UntagResource", "secretsmanager:DeleteSecret",
)  # fmt: skip
Ask = Callable[[ControlPlane], Awaitable[InstanceId | None]]


async def nobody(_: ControlPlane) -> None:
    """A spare comes up by itself."""


async def a_user(plane: ControlPlane) -> InstanceId:
    return (await plane.create(*WITH_KEY)).id


async def leaving(plane: ControlPlane) -> InstanceId:
    (instance,) = await plane.store.instances.list_placed()
    await plane.delete(instance.id)
    return instance.id


FLOWS: dict[str, tuple[Ask, Phase | None, tuple[str, ...]]] = {
    "spare": (nobody, None, SPARE),
    "deployment": (a_user, Phase.RUNNING, DEPLOYMENT),
    "deletion": (leaving, Phase.DELETED, DELETION),
}
pytestmark = pytest.mark.slow
ALWAYS_TRIED = (
    "ec2:CreateFleet", "elasticloadbalancing:CreateRule", "ssm:SendCommand", "elasticloadbalancing:ModifyRule",
    "secretsmanager:DeleteSecret",
)  # fmt: skip
"""One of each kind of call; `make test-all` tries them all, and each in all three ways."""
STEPS = [(name, action) for name, (_, _, actions) in FLOWS.items() for action in actions]
TRIED = [step for step in STEPS if step[1] in ALWAYS_TRIED]


def steps(turn: int) -> list[Any]:
    """All of them; each that is always tried is so in one of the three ways: its turn."""
    now = TRIED[turn::3]
    return [
        pytest.param(name, action, id=f"{name}-{action.partition(':')[2]}", marks=() if (name, action) in now else pytest.mark.long)
        for name, action in STEPS
    ]


async def prepared(world: AwsWorld, name: str) -> None:
    """What the flow starts from; the pool is paused then."""
    if name != "spare":
        async with world.control_plane() as plane:
            await plane.until_full()
            if name == "deletion":
                await plane.until_filed((await plane.create()).id)
                await plane.until_full()
    await world.store.platform.set_pool(paused=True)


async def converges(world: AwsWorld, plane: ControlPlane, name: str, asked: InstanceId | None) -> None:
    """Where the flow leads, with the pool full and nothing left over or doubled."""
    await world.store.platform.set_pool(paused=False)
    phase = FLOWS[name][1]
    if asked is not None and phase is not None:
        await plane.until_phase(asked, phase)
    if asked is not None and phase is Phase.RUNNING:
        await plane.until_filed(asked)
    await plane.until_full()
    await plane.until_clean()


@pytest.mark.parametrize(("name", "action"), steps(0))
async def test_a_call_that_is_refused_once_is_made_again(world: AwsWorld, name: str, action: str) -> None:
    await prepared(world, name)
    world.lab.cloud.faults.fail(action, "InternalError")
    async with world.control_plane() as plane:
        await converges(world, plane, name, await FLOWS[name][0](plane))


@pytest.mark.parametrize(("name", "action"), steps(1))
async def test_a_call_whose_answer_is_lost_leaves_nothing_doubled(world: AwsWorld, name: str, action: str) -> None:
    await prepared(world, name)
    world.lab.cloud.faults.lose(action, Loss.CUT)
    async with world.control_plane() as plane:
        await converges(world, plane, name, await FLOWS[name][0](plane))


@pytest.mark.parametrize(("name", "action"), steps(2))
async def test_a_control_plane_killed_after_a_call_converges_when_another_starts(world: AwsWorld, name: str, action: str) -> None:
    await prepared(world, name)
    reached, released = threading.Event(), threading.Event()

    def hang(call: object, moment: str) -> None:
        if moment == "after" and getattr(call, "action", "") == action and not reached.is_set():
            reached.set()
            released.wait(10)

    world.lab.cloud.faults.hook = hang
    try:
        async with world.control_plane() as plane:
            await world.store.platform.set_pool(paused=name != "spare")
            asked = await FLOWS[name][0](plane)
            assert await asyncio.to_thread(reached.wait, 30), f"{action} was not called"
    finally:
        released.set()
        world.lab.cloud.faults.hook = None
    async with world.control_plane() as plane:
        await converges(world, plane, name, asked)
