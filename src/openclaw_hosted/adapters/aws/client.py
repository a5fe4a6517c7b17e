"""The SDK: aiobotocore with one policy of retries and one measurement for all calls."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final, cast

import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore import xform_name
from botocore.loaders import Loader, create_loader
from botocore.utils import parse_timestamp

from openclaw_hosted.adapters.aws.buckets import Buckets
from openclaw_hosted.adapters.aws.errors import code_of, meaning
from openclaw_hosted.adapters.aws.sdk import NOT_REPEATED, Answer, Operation
from openclaw_hosted.domain.errors import Conflict, NotFound, PortError, Throttled, Unavailable
from openclaw_hosted.domain.tally import Outcome
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.tracing import Watch

log = structlog.get_logger("aws")
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
ATTEMPTS: Final = 5
PAUSE_SECONDS: Final = 0.2
PAUSE_CAP_SECONDS: Final = 5.0
BUDGET: Final = 20.0
"""How many repetitions an API may have in hand; without any left, its errors are passed on at once."""
BUDGET_A_SECOND: Final = 1.0
CONNECTIONS: Final = 50

NEXT_PAGE: Final[Mapping[str, str]] = {"NextMarker": "Marker", "NextToken": "NextToken", "nextToken": "nextToken"}
"""From how an answer names the next page to how it is asked for."""


@dataclass
class CallStats:
    """How often one call was made, what came of it, and how long AWS took."""

    made: int = 0
    """Requests sent, repetitions included."""
    failed: int = 0
    throttled: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0


@dataclass
class RetryBudget:
    """What one API may repeat: many callers in trouble share it, so that together they do not make the trouble worse."""

    left: float = BUDGET
    seen_at: float = 0.0

    def take(self, now: float) -> bool:
        """Whether one more repetition is allowed. `now` is monotonic, in seconds."""
        self.left = min(BUDGET, self.left + (now - self.seen_at) * BUDGET_A_SECOND) if self.seen_at else self.left
        self.seen_at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass
class AwsSdk:
    """`Sdk` for one account and region. `endpoint_url` is for a lab; credentials come from where the SDK always finds them."""

    region: str
    clock: Clock
    ids: Ids
    endpoint_url: str | None = None
    watch: Watch = field(default_factory=Watch)
    stats: Mapping[Operation, CallStats] = field(default_factory=lambda: defaultdict(CallStats))

    def __post_init__(self) -> None:
        self._session = get_session()
        self._session.register_component("data_loader", _models())
        self._session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
        self._stack = AsyncExitStack()
        self._clients: dict[str, Any] = {}
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._budgets: defaultdict[Operation, RetryBudget] = defaultdict(RetryBudget)
        self._buckets = Buckets(self.clock)

    async def aclose(self) -> None:
        """Close all connections."""
        self._clients.clear()
        await self._stack.aclose()

    async def call(self, call: Operation, **parameters: Any) -> Answer:
        """One call; see the Protocol."""
        for attempt in range(ATTEMPTS):
            try:
                return await self._once(call, parameters)
            except (Throttled, Unavailable) as problem:
                if call in NOT_REPEATED and not isinstance(problem, Throttled):
                    raise
                if attempt + 1 == ATTEMPTS or not self._budgets[call].take(self.clock.monotonic()):
                    raise
            pause = min(PAUSE_CAP_SECONDS, PAUSE_SECONDS * 2**attempt)
            await self.clock.sleep(pause * self.ids.jitter())
        raise AssertionError("unreachable")

    async def pages(self, call: Operation, **parameters: Any) -> AsyncIterator[Answer]:
        """All pages; each service names the next one in its own way."""
        marks: dict[str, Any] = {}
        while True:
            page = await self.call(call, **parameters, **marks)
            yield page
            marks = {asked: page[said] for said, asked in NEXT_PAGE.items() if page.get(said)}
            if not marks:
                return

    async def _once(self, call: Operation, parameters: dict[str, Any]) -> Answer:
        client = await self._client(call.service)
        with self.watch.tracer.span(call, {"service": call.service, "operation": call.operation}, is_call=True) as span:
            async with self._buckets.turn(call):
                try:
                    return await self._made(call, getattr(client, xform_name(call.operation)), parameters)
                except PortError as problem:
                    if _outcome(problem) is not Outcome.WELL:
                        span.fail(type(problem).__name__, code_of(problem))
                    raise

    async def _made(self, call: Operation, method: Callable[..., Awaitable[Answer]], parameters: dict[str, Any]) -> Answer:
        stats, began, outcome = self.stats[call], self.clock.monotonic(), Outcome.WELL
        stats.made += 1
        try:
            return await method(**parameters)
        except Exception as error:
            stats.failed += 1
            problem = meaning(call, error)
            outcome = _outcome(problem)
            if isinstance(problem, Throttled):
                stats.throttled += 1
                self._buckets.empty(call)
            log.debug("call failed", call=call, error=str(problem))
            raise problem from error
        finally:
            took = self.clock.monotonic() - began
            stats.seconds += took
            stats.slowest_seconds = max(stats.slowest_seconds, took)
            self.watch.tally.call(call, outcome, self.clock.now())

    async def _client(self, service: str) -> Any:
        async with self._opening[service]:
            if service not in self._clients:
                config = AioConfig(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    max_pool_connections=CONNECTIONS,
                    tcp_keepalive=True,
                )
                plain = (self.endpoint_url or "").startswith("http://")  # reading the authorities' certificates for nothing takes 50 ms
                client = self._session.create_client(
                    cast("Any", service), self.region, endpoint_url=self.endpoint_url, verify=False if plain else None, config=config
                )
                self._clients[service] = await self._stack.enter_async_context(client)
        return self._clients[service]


def _outcome(problem: Exception) -> Outcome:
    """That something is not there, or is there already, is what was asked."""
    if isinstance(problem, Throttled):
        return Outcome.THROTTLED
    return Outcome.WELL if isinstance(problem, NotFound | Conflict) else Outcome.FAILED


@cache
def _models() -> Loader:
    """What the SDK knows of AWS's services, read once for all clients of a process: EC2's alone takes a tenth of a second to read."""
    return create_loader()


def _time(value: Any) -> datetime:
    """A time of an answer. Those of listings are ISO 8601, for which the SDK's own parser takes a third of what a large listing costs."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)
