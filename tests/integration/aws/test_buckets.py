"""Bursts against the token buckets that AWS is known to have, both sides by the same clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from lab.cloud.buckets import AwsBuckets
from lab.plain import PlainLab
from openclaw_hosted.adapters.aws import buckets, client
from openclaw_hosted.adapters.aws.buckets import Buckets
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.domain.instance import Phase
from tests.integration.aws.world import CLOCK, AwsWorld
from tests.support.aws import sdk_on

THROTTLED = {"Throttling", "ThrottlingException", "RequestLimitExceeded"}
GONE = "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/gone/0123456789abcdef"
CHANGES, READS, COMMANDS = 24, 44, 14


@pytest.fixture(autouse=True)
def _real_buckets(lab: PlainLab) -> Iterator[None]:
    lab.cloud.calls.clear()
    lab.cloud.faults.buckets = AwsBuckets(CLOCK.monotonic)
    yield
    lab.cloud.faults.buckets = None


def refused(lab: PlainLab) -> Counter[str]:
    """What AWS found too many."""
    return Counter(call.action for call in lab.cloud.calls if call.error in THROTTLED)


async def burst(sdk: AwsSdk) -> None:
    async def quietly(call: Call, **parameters: object) -> None:
        try:
            await sdk.call(call, **parameters)
        except PortError:
            """What comes of it does not matter here."""

    await asyncio.gather(
        *(quietly(Call.DELETE_GROUP, TargetGroupArn=GONE) for _ in range(CHANGES)),
        *(quietly(Call.DESCRIBE_GROUPS, PageSize=1) for _ in range(READS)),
        *(quietly(Call.DESCRIBE_AGENTS, MaxResults=5) for _ in range(COMMANDS)),
    )


async def test_a_burst_of_calls_waits_here_and_is_not_refused_there(lab: PlainLab, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sdk_on(lab) as sdk:
        await burst(sdk)
    assert refused(lab) == {}
    assert len(lab.cloud.calls) >= CHANGES + READS + COMMANDS
    lab.cloud.faults.buckets = AwsBuckets(lambda: 0.0)
    monkeypatch.setattr(buckets, "limit_of", lambda _: None)
    async with sdk_on(lab) as sdk:
        await burst(sdk)
    assert set(refused(lab)) == {
        "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:DescribeTargetGroups", "ssm:DescribeInstanceInformation",
    }  # fmt: skip


async def test_a_burst_of_creates_meets_no_throttling(world: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the computer's own time on both sides: by a hurried one, AWS's buckets fill faster than the lab can make calls."""
    world.spares = 10
    cloud = world.lab.cloud
    with monkeypatch.context() as patch:
        patch.setattr(client, "Buckets", lambda _: Buckets(SystemClock()))
        cloud.faults.buckets = AwsBuckets()
        async with world.control_plane() as plane:
            await plane.until_full()
            await plane.store.platform.set_pool(paused=True)
            made = [await plane.create() for _ in range(world.spares)]
            for instance in made:
                await plane.until_phase(instance.id, Phase.RUNNING)
        cloud.faults.buckets = None
    changes = [call for call in cloud.calls if call.action.startswith("elasticloadbalancing:") and "Describe" not in call.action]
    assert len(changes) >= 4 * world.spares
    assert refused(world.lab) == {}
