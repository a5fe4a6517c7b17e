"""Token buckets of our own, a little smaller than AWS's, so that a burst waits here and is not refused there (decision 70).

AWS counts by account and region: one process has one set of buckets, for all of its loops. A call waits until its bucket has a token for
it; those for which a user waits go first, then it is first come, first served. What is on its way holds its token until it is answered:
calls that are held up somewhere arrive together, and must not be more than AWS's bucket holds. Where AWS refuses a call all the same,
because others in the account make calls as well, our bucket is emptied: everybody slows down.

Sources, all of which leave room for exceptions by account:
- EC2, *Request throttling for the Amazon EC2 API*: each API has a bucket of its own, by category or by name.
- Elastic Load Balancing, *Request throttling for the ELB API*: 40 tokens and 10 a second for what reads. For what changes, AWS's own
  controller for Kubernetes keeps to 20 and 4 a second for targets (aws-load-balancer-controller, `pkg/aws/throttle/defaults.go`); taken
  for all changes here.
- CloudWatch Logs, *Amazon CloudWatch Logs endpoints and quotas*: 25 a second in us-east-1, 10 in most regions, 5 in the others.
- Systems Manager publishes no figures: assumed.
"""

from __future__ import annotations

import bisect
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from openclaw_hosted.adapters.aws.sdk import Call, Operation
from openclaw_hosted.domain.errors import Throttled
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.urgency import is_background

SHARE: Final = 0.75
"""What of AWS's own we use. The rest is for operators, Terraform and another control plane in the account."""
MOST_WAITING: Final = 1000
READS: Final = ("Describe", "Get", "List")
TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Limit:
    """A bucket of AWS's: `size` calls at once, and so many more `a_second`."""

    size: float
    a_second: float


EC2_READ: Final = Limit(100, 20)
EC2_CHANGE: Final = Limit(50, 5)
ELB_READ: Final = Limit(40, 10)
ELB_CHANGE: Final = Limit(20, 4)
BY_CALL: Final[Mapping[Call, Limit]] = {
    Call.START_INSTANCES: Limit(5, 2),
    Call.TERMINATE_INSTANCES: Limit(100, 5),
    Call.CREATE_TAGS: Limit(100, 10),
    Call.CREATE_VOLUME: Limit(100, 5),
    Call.DELETE_VOLUME: Limit(100, 5),
    Call.CREATE_SNAPSHOT: Limit(100, 5),
    Call.DELETE_SNAPSHOT: Limit(100, 5),
    Call.SEND_COMMAND: Limit(20, 10),
    Call.GET_INVOCATION: Limit(40, 20),
    Call.DESCRIBE_AGENTS: Limit(10, 3),
    Call.FILTER_LOGS: Limit(5, 5),
}


def limit_of(call: Operation) -> tuple[str, Limit] | None:
    """The bucket of a call, by a name that those have in common that share it; None for an API with room enough."""
    reads = call.operation.startswith(READS)
    if isinstance(call, Call) and call in BY_CALL:
        return call, BY_CALL[call]
    if call.service == "ec2":
        return call, EC2_READ if reads else EC2_CHANGE
    if call.service == "elbv2":
        return ("elbv2 reads", ELB_READ) if reads else ("elbv2 changes", ELB_CHANGE)
    return None


@dataclass
class Bucket:
    """One bucket, and who waits for it."""

    size: float
    a_second: float
    clock: Clock
    _waiting: list[tuple[bool, int]] = field(default_factory=list)
    """In the order of their turns."""
    _under_way: int = 0

    def __post_init__(self) -> None:
        self._tokens, self._filled_at = self.size, self.clock.monotonic()
        self._numbers = count()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a token, and hold it for the length of the block. Raises `Throttled` where too many wait already."""
        await self._take()
        self._under_way += 1
        try:
            yield
        finally:
            self._fill()
            self._under_way -= 1

    async def _take(self) -> None:
        if len(self._waiting) >= MOST_WAITING:
            raise Throttled(f"{MOST_WAITING} calls of one kind wait for their turn at AWS already.")
        ticket = (is_background(), next(self._numbers))
        bisect.insort(self._waiting, ticket)
        try:
            while (missing := self._missing(ticket)) > TOLERANCE:
                await self.clock.sleep(missing / self.a_second)
            self._tokens -= 1
        finally:
            self._waiting.remove(ticket)

    def empty(self) -> None:
        """AWS has no token left, whatever we thought."""
        self._fill()
        self._tokens = min(self._tokens, 0.0)

    def _missing(self, ticket: tuple[bool, int]) -> float:
        """How many tokens there are too few for this one and those before it."""
        self._fill()
        return bisect.bisect_left(self._waiting, ticket) + 1 - self._tokens

    def _fill(self) -> None:
        now = self.clock.monotonic()
        self._tokens = min(self.size - self._under_way, self._tokens + (now - self._filled_at) * self.a_second)
        self._filled_at = now


class Buckets:
    """All buckets of one account and region, as far as this process uses them."""

    def __init__(self, clock: Clock, share: float = SHARE) -> None:
        """`share` is what of AWS's own buckets to use."""
        self._clock = clock
        self._share = share
        self._buckets: dict[str, Bucket] = {}

    def turn(self, call: Operation) -> AbstractAsyncContextManager[None]:
        """Wait for the turn of a call, which is made in the block. Raises `Throttled` where too many wait already."""
        bucket = self._bucket(call)
        return nullcontext() if bucket is None else bucket.turn()

    def empty(self, call: Operation) -> None:
        """AWS refused this call as one too many."""
        bucket = self._bucket(call)
        if bucket is not None:
            bucket.empty()

    def _bucket(self, call: Operation) -> Bucket | None:
        found = limit_of(call)
        if found is None:
            return None
        name, limit = found
        if name not in self._buckets:
            self._buckets[name] = Bucket(max(1.0, limit.size * self._share), limit.a_second * self._share, self._clock)
        return self._buckets[name]
