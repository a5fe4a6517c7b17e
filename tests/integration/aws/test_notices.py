"""What EC2 says through EventBridge and SQS moves an instance while its machine still answers, in the fast lab."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from openclaw_hosted.adapters.aws import notices
from openclaw_hosted.domain.instance import Instance, Phase, StepName
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.notice import NoticeKind
from tests.integration.aws.test_platform import conversation, say
from tests.integration.aws.world import AwsWorld, ControlPlane
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _asks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "WAIT_SECONDS", 1)


async def an_instance(plane: ControlPlane) -> tuple[Instance, Machine]:
    await plane.until_full()
    instance = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
    await plane.until_full()
    assert instance.machine_id is not None
    return instance, await plane.store.machines.get(instance.machine_id)


async def until_moved(plane: ControlPlane, instance: Instance) -> Machine:
    async def moved() -> bool:
        now = await plane.store.instances.get(instance.id)
        return now.generation == 2 and now.phase is Phase.RUNNING

    await until(moved, every=0.1)
    now = await plane.store.instances.get(instance.id)
    assert now.machine_id is not None
    return await plane.store.machines.get(now.machine_id)


async def test_an_interrupted_spot_machine_hands_its_instance_on_before_it_is_gone(world: AwsWorld) -> None:
    world.hears = True
    async with world.control_plane() as plane:
        instance, before = await an_instance(plane)
        await say(plane, instance.id, "zebra")
        world.lab.cloud.calls.clear()
        await asyncio.to_thread(world.lab.cloud.interrupt, str(before.provider_ref))
        after = await until_moved(plane, instance)
        assert "zebra" in await conversation(world, str(after.provider_ref))
        assert (await plane.store.machines.get(before.id)).notice is NoticeKind.INTERRUPTION
        steps = [step for step in await plane.store.instances.steps(instance.id) if step.generation == 2]
        assert StepName.STOP in {step.name for step in steps}
        assert [step.error for step in steps if step.error] == []
        await plane.until_full()
        await plane.until_clean()
        made = Counter(call.action for call in world.lab.cloud.calls if call.caller == "account")
        assert made["elasticloadbalancing:ModifyRule"] == 2, "the platform's page, and then the other machine"
        assert made["ec2:DetachVolume"] >= 1
        assert (await plane.store.machines.get(before.id)).state is MachineState.TERMINATED
        await until_empty(world)


@pytest.mark.long
async def test_a_recommendation_moves_an_instance_and_events_of_others_do_nothing(world: AwsWorld) -> None:
    """Each part has another proof: `TestAwsNotices`, `test_aws_events.py`, and tests/integration/convergence/test_moves.py."""
    world.hears = True
    async with world.control_plane() as plane:
        instance, before = await an_instance(plane)
        sqs, queue = world.lab.site.client("sqs"), world.lab.site.notices_queue
        event = {
            "version": "0", "source": "aws.ec2", "detail-type": "EC2 Spot Instance Interruption Warning", "region": "us-west-2",
            "account": "999999999999", "detail": {"instance-id": before.provider_ref, "instance-action": "terminate"},
        }  # fmt: skip
        for body in (json.dumps(event), "nonsense", json.dumps({**event, "account": world.lab.cloud.account_id, "detail": {}})):
            await asyncio.to_thread(sqs.send_message, QueueUrl=queue, MessageBody=body)
        await until_empty(world)
        assert (await plane.store.instances.get(instance.id)).phase is Phase.RUNNING
        await asyncio.to_thread(world.lab.cloud.rebalance, str(before.provider_ref))
        await until_moved(plane, instance)
        assert (await plane.store.machines.get(before.id)).notice is NoticeKind.REBALANCE
        await plane.until_full()
        await plane.until_clean()


async def until_empty(world: AwsWorld) -> None:
    """Wait until nothing is in the queue, neither to be read nor hidden."""
    sqs, queue = world.lab.site.client("sqs"), world.lab.site.notices_queue
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    async def empty() -> bool:
        found = await asyncio.to_thread(sqs.get_queue_attributes, QueueUrl=queue, AttributeNames=names)
        return all(int(found["Attributes"][name]) == 0 for name in names)

    await until(empty, every=0.2)
