"""Token buckets, by the pages on request throttling of EC2 and of Elastic Load Balancing; of Systems Manager, as assumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud.buckets import AwsBuckets
from tests.lab.cloud.support import Site

UNKNOWN = "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/gone/0123456789abcdef"


@pytest.fixture
def now(site: Site) -> list[float]:
    """The time of the buckets, which a test moves."""
    time = [0.0]
    site.cloud.faults.buckets = AwsBuckets(lambda: time[0])
    return time


def answers(ask: Callable[[], Any], times: int) -> Counter[str]:
    """How often it was answered, and how often with which error."""
    found: Counter[str] = Counter()
    for _ in range(times):
        try:
            ask()
            found["answered"] += 1
        except ClientError as error:
            found[error.response["Error"]["Code"]] += 1
    return found


def test_what_reads_at_the_load_balancer_shares_forty_tokens_and_gets_ten_a_second(site: Site, now: list[float]) -> None:
    elbv2 = site.client("elbv2")
    assert answers(elbv2.describe_target_groups, 30) == {"answered": 30}
    assert answers(elbv2.describe_load_balancers, 12) == {"answered": 10, "Throttling": 2}
    now[0] += 1
    assert answers(elbv2.describe_target_groups, 12) == {"answered": 10, "Throttling": 2}


def test_changes_at_the_load_balancer_have_fewer_and_do_not_take_from_those_that_read(site: Site, now: list[float]) -> None:
    elbv2 = site.client("elbv2")
    assert answers(lambda: elbv2.delete_target_group(TargetGroupArn=UNKNOWN), 22) == {"answered": 20, "Throttling": 2}
    assert answers(elbv2.describe_target_groups, 1) == {"answered": 1}
    now[0] += 1
    assert answers(lambda: elbv2.delete_target_group(TargetGroupArn=UNKNOWN), 5) == {"answered": 4, "Throttling": 1}


def test_each_api_of_ec2_has_its_own_bucket_and_pages_give_a_larger_one(site: Site, now: list[float]) -> None:
    del now
    ec2 = site.client("ec2")
    assert answers(ec2.describe_volumes, 52) == {"answered": 50, "RequestLimitExceeded": 2}
    assert answers(lambda: ec2.describe_volumes(MaxResults=5), 52) == {"answered": 52}
    started = answers(lambda: ec2.start_instances(InstanceIds=["i-0123456789abcdef0"]), 7)
    assert started == {"InvalidInstanceID.NotFound": 5, "RequestLimitExceeded": 2}


def test_run_command_is_refused_in_the_words_of_its_service(site: Site, now: list[float]) -> None:
    del now
    asked = answers(lambda: site.client("ssm").describe_instance_information(), 12)
    assert asked == {"answered": 10, "ThrottlingException": 2}
