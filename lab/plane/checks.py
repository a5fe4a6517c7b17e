"""Health checks of target groups, as a load balancer makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import h11

from lab.plane.base import Balancer, Group, HealthCheck, Target

AGENT = "ELB-HealthChecker/2.0"

Key = tuple[str, str]
"""Target group ARN and `id:port`."""


@dataclass(slots=True)
class Watch:
    """What is known of one target."""

    group: Group
    target: Target
    state: str = "initial"
    passes: int = 0
    failures: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def note(self, *, passed: bool) -> None:
        """Count one check. A new target needs one pass; one that was unhealthy needs as many in a row as its threshold."""
        self.passes, self.failures = (self.passes + 1, 0) if passed else (0, self.failures + 1)
        check = self.group.check
        if passed and (self.state == "initial" or self.passes >= check.healthy_threshold):
            self.state = "healthy"
        elif self.failures >= check.unhealthy_threshold:
            self.state = "unhealthy"


class Checks:
    """The health of all targets. `update` runs on the event loop, `health` anywhere."""

    def __init__(self) -> None:
        self._watches: dict[Key, Watch] = {}
        self._groups: dict[str, Group] = {}

    def update(self, balancers: Iterable[Balancer]) -> None:
        """Check what rules use, and nothing else."""
        balancers = tuple(balancers)
        used = {arn for balancer in balancers for listener in balancer.listeners for rule in listener.rules for arn in rule.forward}
        self._groups = {arn: group for balancer in balancers for arn, group in balancer.groups.items() if arn in used}
        wanted = {(arn, name): target for arn, group in self._groups.items() for name, target in group.targets.items()}
        for key in self._watches.keys() - wanted.keys():
            self._forget(key)
        for key, target in wanted.items():
            self._keep(key, target)

    def health(self, group_arn: str, target: str) -> str:
        """See `Balancers.health`."""
        group = self._groups.get(group_arn)
        if group is None:
            return "unused"
        known = group.targets.get(target)
        if known is not None and known.draining:
            return "draining"
        watch = self._watches.get((group_arn, target))
        return watch.state if watch else "initial"

    def eligible(self, group: Group) -> list[str]:
        """The targets that get requests: the healthy ones, or all of them where none is. None that drains."""
        names = sorted(name for name, target in group.targets.items() if not target.draining)
        return [name for name in names if self.health(group.arn, name) == "healthy"] or names

    def _keep(self, key: Key, target: Target) -> None:
        group = self._groups[key[0]]
        watch = self._watches.get(key)
        if watch is not None and (watch.target.address, watch.target.port) != (target.address, target.port):
            self._forget(key)
            watch = None
        if watch is None:
            watch = self._watches[key] = Watch(group, target)
            watch.task = asyncio.create_task(_watch(watch))
        watch.group, watch.target = group, target

    def _forget(self, key: Key) -> None:
        watch = self._watches.pop(key)
        if watch.task is not None:
            watch.task.cancel()


async def _watch(watch: Watch) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + watch.group.check.interval_seconds
        if not watch.target.draining:
            watch.note(passed=await passes(watch.group.check, watch.target))
        await asyncio.sleep(due - clock())


async def passes(check: HealthCheck, target: Target) -> bool:
    """Whether one check passes: a GET, on a connection of its own, answered in time with a status that matches."""
    port = check.port or target.port
    try:
        async with asyncio.timeout(check.timeout_seconds):
            return await _status(target.address, port, check.path) in check.statuses
    except (OSError, TimeoutError, h11.RemoteProtocolError):
        return False


async def _status(address: str, port: int, path: str) -> int | None:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [("Host", f"{address}:{port}"), ("User-Agent", AGENT), ("Connection", "close")]
        writer.write(connection.send(h11.Request(method="GET", target=path, headers=headers)) or b"")
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Response):
                return event.status_code
            elif isinstance(event, h11.ConnectionClosed):
                return None
    finally:
        writer.close()
