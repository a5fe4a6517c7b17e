"""The production controllers on the AWS provider in the fast lab."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from lab.cloud.calls import Call
from openclaw_hosted.controllers.liveness import LivenessController
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.shards import shard_of
from tests.integration.aws.world import CLOCK, KEY, NEVER, WITH_KEY, AwsWorld, ControlPlane
from tests.support.waiting import PATIENCE_SECONDS, until

MOST_CALLS_OF_A_CREATE = 7
COUNTED_ONCE = ("ssm:GetCommandInvocation", "secretsmanager:GetSecretValue")
"""How often depends on the computer: a command is looked at until its machine is done, and a secret is read again before it is
written where more time has passed than the vault trusts its memory for."""
ONCE_FOR_A_SPARE = (
    "ec2:CreateFleet", "secretsmanager:GetSecretValue", "secretsmanager:CreateSecret", "secretsmanager:TagResource", "ssm:SendCommand",
    "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:CreateRule",
)  # fmt: skip
LOOKS_FOR_ORPHANS = 1
LOOKS = 5
LONG_AGO_SECONDS = 6.0
"""What was listed before then is listed again."""


@contextmanager
def no_answers(world: AwsWorld) -> Iterator[list[str]]:
    """AWS answers the platform nothing for the length of the block; what it was asked meanwhile."""
    asked: list[str] = []
    released = threading.Event()

    def hang(call: Call, moment: str) -> None:
        if moment == "before" and call.caller.instance_id is None:
            asked.append(call.action)
            released.wait(PATIENCE_SECONDS)

    world.lab.cloud.faults.hook = hang
    try:
        yield asked
    finally:
        world.lab.cloud.faults.hook = None
        released.set()


async def the_ref(plane: ControlPlane) -> str:
    """What AWS calls the one machine."""
    (machine,) = await plane.store.machines.list_live()
    return str(machine.provider_ref)


async def credentials_of(world: AwsWorld, plane: ControlPlane) -> frozenset[str]:
    """The names of those that the one gateway knows."""
    return world.lab.machines.credentials(await the_ref(plane))


async def asked_at(plane: ControlPlane, instance_id: InstanceId, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """What its address answers, through the load balancer."""
    async with httpx.AsyncClient() as client:
        return await client.get(plane.provided.router.public_url(instance_id), headers=headers)


def calls_about(world: AwsWorld, *names: str) -> Counter[str]:
    """The platform's calls that name one of these."""
    return Counter(
        call.action for call in world.lab.cloud.calls
        if call.caller == "account" and any(name in resource for resource in call.resources for name in names)
    )  # fmt: skip


@pytest.mark.parametrize("wanted", [WITH_KEY, ()])
async def test_a_create_from_a_hot_spare_runs_while_aws_answers_nothing(world: AwsWorld, wanted: tuple[Any, ...]) -> None:
    world.options = {"liveness_seconds": NEVER, "orphans_seconds": NEVER}
    async with world.control_plane() as plane:
        await plane.until_full()
        await plane.store.platform.set_pool(paused=True)
        with no_answers(world) as asked:
            instance = await plane.until_phase((await plane.create(*wanted)).id, Phase.RUNNING)
            assert "<openclaw-app" in (await asked_at(plane, instance.id)).text
            assert (Credential.MODEL_API_KEY in await credentials_of(world, plane)) is bool(wanted)
            assert not (await plane.store.instances.get(instance.id)).is_filed
            await until(lambda: asked)
        filed = await plane.until_filed(instance.id)
        assert filed.sealed_revision is None
        assert (KEY in (await plane.provided.vault.get(instance.id, fresh=True)).values()) is bool(wanted)
        (route,) = await plane.provided.router.list()
        assert (route.owner_id, route.generation) == (instance.owner_id, 1)


async def test_a_spares_route_leads_to_a_gateway_that_lets_nobody_in(world: AwsWorld) -> None:
    world.spares = 2
    async with world.control_plane() as plane:
        await plane.until_full()
        own, neighbour = [machine.reserved_instance_id for machine in await plane.store.machines.list_live()]
        tokens = [(await plane.provided.vault.get(each))[Credential.GATEWAY_TOKEN] for each in (own, neighbour)]
        for headers in ({}, {"Authorization": f"Bearer {tokens[1]}"}):
            answer = await asked_at(plane, own, headers)
            assert (answer.status_code, answer.text) == (503, "This OpenClaw has no owner yet.")
        claimed = (await plane.until_phase((await plane.create()).id, Phase.RUNNING)).id
        assert "<openclaw-app" in (await asked_at(plane, claimed)).text
        other = ({own, neighbour} - {claimed}).pop()
        assert (await asked_at(plane, other, {"Authorization": f"Bearer {tokens[(own, neighbour).index(claimed)]}"})).status_code == 503


async def test_a_gateway_that_restarts_before_its_machine_has_the_key_gets_it_all_the_same(world: AwsWorld) -> None:
    world.options = {"liveness_seconds": NEVER, "orphans_seconds": NEVER}
    async with world.control_plane() as plane:
        await plane.until_full()
        await plane.store.platform.set_pool(paused=True)
        with no_answers(world):
            instance = await plane.until_phase((await plane.create(*WITH_KEY)).id, Phase.RUNNING)
            world.lab.machines.crash_gateway(await the_ref(plane))

            async def has_lost_it() -> bool:
                return Credential.MODEL_API_KEY not in await credentials_of(world, plane)

            await until(has_lost_it)
        await plane.until_filed(instance.id)
        assert Credential.MODEL_API_KEY in await credentials_of(world, plane)


async def test_what_a_spare_takes_is_asked_for_once(world: AwsWorld) -> None:
    world.options = {"liveness_seconds": NEVER, "orphans_seconds": NEVER}
    await world.store.platform.set_pool(paused=True)
    async with world.control_plane() as plane:
        await plane.provided.router.list()
        world.lab.cloud.calls.clear()
        await plane.store.platform.set_pool(paused=False)
        await plane.until_full()
        made = Counter(call.action for call in world.lab.cloud.calls if call.caller == "account")
    for action in ONCE_FOR_A_SPARE:
        assert made[action] == 1, made
    assert made["ec2:CreateTags"] == 4, made
    assert made["ec2:DescribeVolumes"] <= 3 + LOOKS_FOR_ORPHANS, made


async def test_a_create_from_a_hot_spare_takes_at_most_seven_calls_in_all(world: AwsWorld) -> None:
    world.options = {"liveness_seconds": NEVER, "orphans_seconds": NEVER}
    async with world.control_plane() as plane:
        await plane.until_full()
        await plane.store.platform.set_pool(paused=True)
        await asyncio.to_thread(world.lab.cloud.settle)
        world.lab.cloud.calls.clear()
        instance = await plane.create(*WITH_KEY)
        await plane.until_phase(instance.id, Phase.RUNNING)
        await plane.until_filed(instance.id)
        made = Counter(call.action for call in world.lab.cloud.calls if call.caller == "account")
        assert all(made[call] >= 1 for call in COUNTED_ONCE), made
        assert sum(made.values()) - sum(made[call] - 1 for call in COUNTED_ONCE) <= MOST_CALLS_OF_A_CREATE, made
        assert made["secretsmanager:PutSecretValue"] == made["elasticloadbalancing:ModifyRule"] == made["ssm:SendCommand"] == 1


async def test_tags_tell_an_operator_which_machine_is_whose(world: AwsWorld) -> None:
    async def told() -> set[tuple[str | None, str | None]]:
        """Status and user of each machine, as the question of SEED.md's Check Instance Status has it."""
        found = await asyncio.to_thread(lambda: world.lab.site.client("ec2").describe_instances())
        machines = [machine for reservation in found["Reservations"] for machine in reservation["Instances"]]
        tags = [{tag["Key"]: tag["Value"] for tag in machine["Tags"]} for machine in machines]
        return {(each.get("Status"), each.get("UserId")) for each in tags if each["Name"] == "openclaw-user-instance"}

    async with world.control_plane() as plane:
        await plane.until_full()
        assert await told() == {("available", None)}
        await plane.store.platform.set_pool(paused=True)
        instance = await plane.create()
        await plane.until_filed(instance.id)
        assert ("assigned", instance.owner_id) in await told()


async def test_what_looking_after_the_fleet_costs_does_not_grow_with_its_users(world: AwsWorld) -> None:
    world.options = {"liveness_seconds": NEVER, "orphans_seconds": NEVER}
    async with world.control_plane() as plane:
        costs = []
        for users in (1, 4):
            while len(await plane.store.instances.list_placed()) < users:
                await plane.until_full()
                instance = await plane.create()
                await plane.until_phase(instance.id, Phase.RUNNING)
                await plane.until_filed(instance.id)
            await plane.until_full()
            await asyncio.to_thread(world.lab.cloud.settle)
            looks = LivenessController(plane.ports, plane.options)
            await looks.tick()
            world.lab.cloud.calls.clear()
            for _ in range(LOOKS):
                await CLOCK.sleep(LONG_AGO_SECONDS)
                await looks.tick()
            costs.append(Counter(call.action for call in world.lab.cloud.calls))
        few, many = costs
        assert set(many) <= {"ec2:DescribeInstances", "elasticloadbalancing:DescribeRules"}, many
        for action, count in many.items():
            assert count <= few[action] * 1.5 + 2, (few, many)


async def test_no_key_of_a_user_stands_in_a_command_a_tag_or_an_answer_of_the_account(world: AwsWorld) -> None:
    async with world.control_plane() as plane:
        await plane.until_full()
        instance = await plane.create(*WITH_KEY)
        await plane.until_phase(instance.id, Phase.RUNNING)
        await plane.until_filed(instance.id)
        site = world.lab.site
        said = [
            await asyncio.to_thread(lambda: str(site.client("ssm").list_commands())),
            await asyncio.to_thread(lambda: str(site.client("ssm").list_command_invocations(Details=True))),
            await asyncio.to_thread(lambda: str(site.client("ec2").describe_instances())),
            await asyncio.to_thread(lambda: str(site.client("ec2").describe_volumes())),
            await asyncio.to_thread(lambda: str(site.client("secretsmanager").list_secrets())),
        ]
        token = next(iter((await plane.provided.vault.get(instance.id)).values()))
        assert not any(KEY in text or token in text for text in said)
        assert KEY in (await plane.provided.vault.get(instance.id)).values()


async def test_a_machine_reads_its_own_secret_and_not_its_neighbours(world: AwsWorld) -> None:
    world.spares = 2
    async with world.control_plane() as plane:
        await plane.until_full()
        one, other = await plane.store.machines.list_live()
        assert one.provider_ref is not None
        cloud = world.lab.cloud
        assert "gatewayToken" in await asyncio.to_thread(cloud.secret, one.provider_ref, f"openclaw/{one.reserved_instance_id}")
        refused = False
        try:
            await asyncio.to_thread(cloud.secret, one.provider_ref, f"openclaw/{other.reserved_instance_id}")
        except PermissionError:
            refused = True
        assert refused


async def test_a_machine_that_was_started_by_hand_joins_the_pool(world: AwsWorld) -> None:
    world.spares = 2
    async with world.control_plane() as plane:
        await plane.store.platform.set_pool(paused=True)
        template = {"LaunchTemplateId": world.lab.site.template}
        ec2 = world.lab.site.client("ec2")
        made = await asyncio.to_thread(lambda: ec2.run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1))
        ref = made["Instances"][0]["InstanceId"]

        async def is_spare() -> bool:
            return [m.provider_ref for m in await plane.store.machines.list_live() if m.state is MachineState.AVAILABLE] == [ref]

        await until(is_spare, every=0.2)
        instance = await plane.create()
        assert (await plane.until_phase(instance.id, Phase.RUNNING)).machine_id is not None


async def test_a_machine_that_is_gone_is_replaced_on_its_volume_in_its_zone_and_the_conversation_goes_on(world: AwsWorld) -> None:
    async with world.control_plane() as plane:
        await plane.until_full()
        instance = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
        await say(plane, instance.id, "zebra")
        await plane.until_full()
        assert instance.machine_id is not None
        before = await plane.store.machines.get(instance.machine_id)
        ec2 = world.lab.site.client("ec2")
        await asyncio.to_thread(lambda: ec2.terminate_instances(InstanceIds=[before.provider_ref]))

        async def replaced() -> bool:
            now = await plane.store.instances.get(instance.id)
            return now.generation == 2 and now.phase is Phase.RUNNING

        await until(replaced, every=0.2)
        again = await plane.store.instances.get(instance.id)
        assert again.machine_id is not None
        after = await plane.store.machines.get(again.machine_id)
        assert after.zone == before.zone
        assert "zebra" in await conversation(world, str(after.provider_ref))
        await plane.until_full()
        await plane.until_clean()


async def test_instances_spread_over_the_load_balancers_and_answer_there(world: AwsWorld) -> None:
    async with world.control_plane() as plane:
        made = []
        for _ in range(3):
            await plane.until_full()
            made.append(await plane.until_phase((await plane.create()).id, Phase.RUNNING))
        assert sorted(shard_of(instance.id) for instance in made) == [0, 1, 2]
        addresses = world.lab.site.addresses()
        async with httpx.AsyncClient() as client:
            for instance in made:
                url = plane.provided.router.public_url(instance.id)
                assert url.startswith(addresses[shard_of(instance.id)])
                assert "<openclaw-app" in (await client.get(url)).text


async def say(plane: ControlPlane, instance_id: str, text: str) -> None:
    """One turn of a conversation with an instance's gateway."""
    machine = next(m for m in await plane.store.machines.list_live() if m.instance_id == instance_id)
    token = next(iter((await plane.provided.vault.get(machine.instance_id or machine.reserved_instance_id)).values()))
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"http://{machine.address}/v1/chat/completions",
            headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.2"},
            json={"model": "openclaw", "messages": [{"role": "user", "content": text}]},
        )
    assert answer.status_code == 200, answer.text


async def conversation(world: AwsWorld, provider_ref: str) -> str:
    """What stands in the conversations on a machine's volume."""
    volumes = world.lab.machines.volumes.attached_to(provider_ref)
    return str([volume.conversation for volume in volumes])
