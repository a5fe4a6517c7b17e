"""The narrow client against the lab: what is repeated, what is passed on, and as what."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lab.cloud.faults import Loss
from lab.plain import PlainLab
from openclaw_hosted.adapters.aws import client
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.adapters.aws.errors import code_of
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.domain.errors import Conflict, Denied, NotFound, ProviderAway, Throttled, Unavailable
from tests.support.aws import aws_environment, sdk_on
from tests.support.ports import free_port


@pytest.fixture
async def sdk(lab: PlainLab) -> AsyncIterator[AwsSdk]:
    async with sdk_on(lab) as made:
        yield made


async def test_a_throttled_call_is_repeated_until_it_is_let_through(lab: PlainLab, sdk: AwsSdk) -> None:
    lab.cloud.faults.throttle("ec2:DescribeInstances", 2)
    answer = await sdk.call(Call.DESCRIBE_INSTANCES)
    assert "Reservations" in answer
    stats = sdk.stats[Call.DESCRIBE_INSTANCES]
    assert (stats.made, stats.failed, stats.throttled) == (3, 2, 2)
    assert 0 < stats.slowest_seconds <= stats.seconds


async def test_an_api_that_throttles_on_and_on_ends_the_call_and_spares_the_other_apis(lab: PlainLab, sdk: AwsSdk) -> None:
    lab.cloud.faults.throttle("ec2:DescribeVolumes", client.ATTEMPTS)
    with pytest.raises(Throttled):
        await sdk.call(Call.DESCRIBE_VOLUMES)
    assert await sdk.call(Call.DESCRIBE_INSTANCES)


async def test_callers_share_what_an_api_may_repeat(lab: PlainLab, sdk: AwsSdk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BUDGET", 1.0)
    monkeypatch.setattr(client, "BUDGET_A_SECOND", 0.0)
    monkeypatch.setattr(client.RetryBudget, "__init__", lambda self: self.__dict__.update(left=1.0, seen_at=0.0))
    lab.cloud.faults.throttle("ec2:DescribeSubnets", 3)
    with pytest.raises(Throttled):
        await sdk.call(Call.DESCRIBE_SUBNETS)
    assert sdk.stats[Call.DESCRIBE_SUBNETS].made == 2


async def test_a_lost_answer_is_asked_for_again(lab: PlainLab, sdk: AwsSdk) -> None:
    lab.cloud.faults.lose("ec2:DescribeInstances", Loss.CUT)
    assert "Reservations" in await sdk.call(Call.DESCRIBE_INSTANCES)
    lab.cloud.faults.lose("ec2:DescribeInstances", Loss.ERROR)
    assert "Reservations" in await sdk.call(Call.DESCRIBE_INSTANCES)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("UnauthorizedOperation", Denied),
        ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", Denied),
        ("PendingVerification", Denied),
        ("Blocked", Denied),
        ("InvalidInstanceID.NotFound", NotFound),
        ("IncorrectInstanceState", Conflict),
        ("InternalError", Unavailable),
    ],
)
async def test_an_error_code_becomes_an_error_of_the_platform(lab: PlainLab, sdk: AwsSdk, code: str, meaning: type[Exception]) -> None:
    lab.cloud.faults.fail("ec2:StartInstances", code, calls=client.ATTEMPTS)
    with pytest.raises(meaning) as raised:
        await sdk.call(Call.START_INSTANCES, InstanceIds=["i-0123456789abcdef0"])
    assert code_of(raised.value) == code
    lab.cloud.faults.calm()


async def test_an_endpoint_that_is_not_there_is_the_provider_being_away(lab: PlainLab) -> None:
    with aws_environment(lab.site):
        sdk = AwsSdk("us-west-2", SystemClock(), SystemIds(), f"http://127.0.0.1:{free_port()}")
        with pytest.raises(ProviderAway):
            await sdk.call(Call.WHO_AM_I)
        await sdk.aclose()
