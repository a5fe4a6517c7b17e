"""What goes wrong on AWS, when a test asks for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from lab.cloud import faults
from lab.cloud.calls import Call
from lab.cloud.faults import Loss
from lab.cloud.latency import Latencies
from lab.cloud.refused import Refused
from tests.lab.cloud.support import Site
from tests.support.clock import MovedTime
from tests.support.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("service", "method", "action", "code"),
    [
        ("ec2", "describe_vpcs", "ec2:DescribeVpcs", "RequestLimitExceeded"),
        ("elbv2", "describe_target_groups", "elasticloadbalancing:DescribeTargetGroups", "Throttling"),
        ("ssm", "list_commands", "ssm:ListCommands", "ThrottlingException"),
        ("secretsmanager", "list_secrets", "secretsmanager:ListSecrets", "ThrottlingException"),
        ("sqs", "list_queues", "sqs:ListQueues", "ThrottlingException"),
    ],
)
def test_each_service_has_its_own_word_for_too_many_calls(site: Site, service: str, method: str, action: str, code: str) -> None:
    site.cloud.faults.throttle(action, calls=2)
    for _ in range(2):
        with pytest.raises(ClientError, match=code):
            getattr(site.client(service), method)()
    getattr(site.client(service), method)()
    assert [call.error for call in site.cloud.calls.of(action)] == [code, code, None]


def test_a_call_that_fails_has_no_effect(site: Site) -> None:
    site.cloud.faults.fail("ec2:RunInstances", "InternalError")
    with pytest.raises(ClientError, match="InternalError") as raised:
        site.launch()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert site.cloud.inventory()["instances"] == 0


def test_a_lost_answer_leaves_the_effect(site: Site) -> None:
    site.cloud.faults.lose("ec2:RunInstances")
    with pytest.raises(ConnectionClosedError):
        site.launch(ClientToken="row-1")
    assert site.cloud.inventory()["instances"] == 1
    (known,) = site.launch(ClientToken="row-1")
    assert site.cloud.inventory()["instances"] == 1
    site.cloud.faults.lose("ec2:TerminateInstances", Loss.ERROR)
    with pytest.raises(ClientError, match="InternalError"):
        site.client("ec2").terminate_instances(InstanceIds=[known])
    site.cloud.settle()
    assert site.state(known) == "terminated"
    assert site.cloud.calls.of("ec2:TerminateInstances")[0].error == "lost:error"


def test_one_call_can_be_slow_while_others_are_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    time = MovedTime()
    monkeypatch.setattr(faults, "time", time)
    site.cloud.faults.delay("ec2:DescribeVpcs", 0.5)
    slow = threading.Thread(target=site.client("ec2").describe_vpcs)
    slow.start()
    assert time.sleeps.wait(PATIENCE_SECONDS)
    site.client("ec2").describe_subnets()
    assert slow.is_alive()
    assert time.slept == [0.5]
    time.goes_on.set()
    slow.join()


def test_a_hook_sees_each_call_before_and_after_its_effect(site: Site) -> None:
    seen: list[tuple[str, str, int]] = []

    def hook(call: Call, when: str) -> None:
        seen.append((call.action, when, site.cloud.inventory()["instances"]))

    site.cloud.faults.hook = hook
    site.launch()
    assert seen == [("ec2:RunInstances", "before", 0), ("ec2:RunInstances", "after", 1)]


def test_a_hook_can_refuse_a_call(site: Site) -> None:
    def hook(call: Call, when: str) -> None:
        if when == "before":
            raise Refused("UnauthorizedOperation", call.action)

    site.cloud.faults.hook = hook
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        site.launch()


def test_latencies_scale_and_nought_is_none(site: Site) -> None:
    assert site.cloud.latencies.seconds("ec2:CreateFleet") == 0
    real = Latencies(scale=0.1)
    assert real.seconds("ec2:CreateFleet") == pytest.approx(0.25)
    assert all(latency.source for latency in real.table.values())
    site.cloud.latencies = real
    site.client("ec2").describe_vpcs()
    assert site.cloud.calls.of("ec2:DescribeVpcs")[-1].seconds >= real.seconds("ec2:DescribeVpcs")


def test_an_operation_that_the_lab_lacks_is_refused_and_recorded(site: Site) -> None:
    with pytest.raises(ClientError, match="InvalidAction"):
        site.client("ssm").list_nodes()
    assert site.cloud.calls.of("ssm:ListNodes")[0].error == "InvalidAction"


def test_calls_are_counted_with_what_they_are_about(site: Site) -> None:
    (instance_id,) = site.launch()
    site.cloud.calls.clear()
    site.client("ec2").create_tags(Resources=[instance_id], Tags=[{"Key": "Status", "Value": "assigned"}])
    (call,) = site.cloud.calls
    assert (call.action, call.resources, call.caller, call.error) == ("ec2:CreateTags", (instance_id,), "account", None)
    assert site.cloud.calls.counts() == {"ec2:CreateTags": 1}


def test_many_threads_launch_and_list_at_once(site: Site) -> None:
    ec2 = site.client("ec2")

    def work(number: int) -> int:
        site.launch(ClientToken=f"row-{number % 10}")
        return len(ec2.describe_instances()["Reservations"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert site.cloud.inventory()["instances"] == 10


def test_a_reset_account_is_empty(site: Site) -> None:
    site.launch()
    site.target_group("one")
    site.cloud.reset()
    assert {kind: count for kind, count in site.cloud.inventory().items() if count} == {}
