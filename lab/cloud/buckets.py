"""AWS's token buckets: how many calls of an API an account may make at once, and how many more a second.

Sources, which say that single accounts may have more:
- EC2: *Request throttling for the Amazon EC2 API* (docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). Each API has
  its own bucket, by its category or by its name; seven have a smaller one for requests with neither a filter nor pages.
- Elastic Load Balancing: *Request throttling for the ELB API* (…/elasticloadbalancing/latest/userguide/elb-api-throttling.html): 40 and
  10 a second for all that reads together. For changes and for targets it has other buckets, smaller ones; their figures here are
  those that AWS's own controller for Kubernetes keeps to for targets (aws-load-balancer-controller, `pkg/aws/throttle/defaults.go`).
- Systems Manager refuses too many calls (ThrottlingException in its API reference) and publishes no figures: these are assumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.cloud.calls import Call

READS = ("Describe", "Get", "List", "Search")
UNPAGED = frozenset({
    "DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSnapshots",
    "DescribeSpotInstanceRequests", "DescribeVolumes",
})  # fmt: skip
TARGETS = frozenset({"RegisterTargets", "DeregisterTargets"})
Limit = tuple[float, float]
EC2_READ: Limit = (100, 20)
EC2_UNPAGED: Limit = (50, 10)
EC2_CHANGE: Limit = (50, 5)
EC2_BY_NAME: Mapping[str, Limit] = {
    "RunInstances": (5, 2), "StartInstances": (5, 2), "TerminateInstances": (100, 5), "CreateTags": (100, 10), "DeleteTags": (100, 10),
    "CreateVolume": (100, 5), "DeleteVolume": (100, 5), "CreateSnapshot": (100, 5), "DeleteSnapshot": (100, 5),
    "CreateLaunchTemplateVersion": (100, 5),
}  # fmt: skip
ELB_READ: Limit = (40, 10)
ELB_CHANGE: Limit = (20, 4)
ELB_TARGETS: Limit = (20, 4)
SSM_BY_NAME: Mapping[str, Limit] = {"SendCommand": (20, 10), "GetCommandInvocation": (40, 20), "DescribeInstanceInformation": (10, 3)}
SSM_OTHER: Limit = (40, 10)


@dataclass
class Bucket:
    """A token bucket: `size` calls at once, and `refill` more a second of `clock`."""

    size: float
    refill: float
    clock: Callable[[], float] = time.monotonic
    tokens: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.size
        self.at = self.clock()

    def take(self) -> bool:
        """Whether a call is let through."""
        now = self.clock()
        self.tokens = min(self.size, self.tokens + (now - self.at) * self.refill)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class AwsBuckets:
    """Those of an account, made as they are needed. Tests that hurry the platform's clock hand the same one in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, call: Call) -> bool:
        """Whether a call is let through; those of other services are."""
        found = limit_of(call)
        if found is None:
            return True
        name, (size, refill) = found
        return self._buckets.setdefault(name, Bucket(size, refill, self._clock)).take()


def limit_of(call: Call) -> tuple[str, Limit] | None:
    """The bucket of a call, by a name that all calls have in common that share it."""
    service, _, name = call.action.partition(":")
    reads = name.startswith(READS)
    if service == "ec2":
        if name in UNPAGED and not call.params.get("Filters") and not call.params.get("MaxResults"):
            return f"{call.action} unpaged", EC2_UNPAGED
        return call.action, EC2_BY_NAME.get(name, EC2_READ if reads else EC2_CHANGE)
    if service == "elasticloadbalancing":
        if name in TARGETS:
            return f"{service} targets", ELB_TARGETS
        return (f"{service} reads", ELB_READ) if reads else (f"{service} changes", ELB_CHANGE)
    return (call.action, SSM_BY_NAME.get(name, SSM_OTHER)) if service == "ssm" else None
