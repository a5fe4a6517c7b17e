"""The AWS provider in the fast lab: from asking to usable, and 200 users over three load balancers.

1. A create from a hot spare and one that finds none, once with each call taking as long as docs/aws.md supposes, and once with AWS
   taking no time at all: what is left then is the platform's own share. SEED.md says 10 to 30 seconds for the whole.
2. So many users at so many a second: how many were accepted and how many run, and whether anything was doubled or left over.

The lab, its load balancers and its gateways are one process, the platform is another. Gateways are stand-ins that start at once: how
long OpenClaw takes to start is for the full lab and for `bench.claim`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.harness import parser, publish, say
from lab.cloud.latency import Delays, Latencies
from lab.plain import plain_lab
from lab.site import Plan
from openclaw_hosted import datadir
from openclaw_hosted.bootstrap import Platform, open_platform
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.actor import SETUP, Actor
from openclaw_hosted.domain.gateway import Credential, CredentialsChange, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.logging import logging_to
from openclaw_hosted.services.instances import CreateRequest
from openclaw_hosted.settings import load_settings

TARGETS = {"own_share_seconds": 1.0, "seed_seconds": (10.0, 30.0)}
WITH_KEY = CreateRequest(
    "Mine", GatewaySettings(ModelProvider.OPENAI), CredentialsChange({Credential.MODEL_API_KEY: "sk-a-key-of-the-bench"})
)
PATIENCE_SECONDS = 600.0
SHARDS = 3


@dataclass(frozen=True)
class Lab:
    """A lab in a process of its own."""

    environment: Mapping[str, str]
    _pipe: Connection

    def look(self) -> tuple[Mapping[str, int], float]:
        """What exists in its account, and how many seconds of CPU it has used."""
        self._pipe.send("look")
        inventory, cpu_seconds = self._pipe.recv()
        return inventory, cpu_seconds


@contextmanager
def lab_process(shards: int, latencies: Latencies, delays: Delays | None) -> Iterator[Lab]:
    """A fast lab for the length of the block."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve_lab, args=(theirs, shards, latencies, delays))
    process.start()
    theirs.close()
    try:
        yield Lab(ours.recv(), ours)
    finally:
        ours.send("end")
        process.join()


def _serve_lab(pipe: Connection, shards: int, latencies: Latencies, delays: Delays | None) -> None:
    with plain_lab(_plan(shards), latencies=latencies, delays=delays) as lab:
        pipe.send(lab.site.environment())
        while pipe.recv() == "look":
            pipe.send((lab.cloud.inventory(), time.process_time()))


@dataclass
class Run:
    """A platform on a lab, with its loops at work."""

    lab: Lab
    platform: Platform
    user: User

    @property
    def actor(self) -> Actor:
        """The user, as a service is asked."""
        return SETUP.proved(self.user)

    async def create(self) -> Instance:
        return (await self.platform.services.instances.create(self.actor, WITH_KEY))[0]

    async def running(self, instance_id: str) -> bool:
        return (await self.platform.services.instances.get(self.actor, instance_id)).phase is Phase.RUNNING

    async def spares(self) -> int:
        return sum(machine.state is MachineState.AVAILABLE for machine in await self.platform.services.operations.machines(SETUP))

    async def until(self, condition: Callable[[], Any], pause: float = 0.02) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await condition():
            if time.monotonic() > deadline:
                raise SystemExit("it did not happen in time")
            await asyncio.sleep(pause)


@asynccontextmanager
async def run_on(shards: int, scale: float, spares: int, cap: int = 20, *, delays: Delays | None = None) -> AsyncIterator[Run]:
    """A platform in this process on a lab of its own."""
    with (
        logging_to("warning", None),
        tempfile.TemporaryDirectory() as folder,
        lab_process(shards, Latencies(scale=scale), delays) as lab,
    ):
        os.environ.update(lab.environment)
        names = {"OPENCLAW_HOSTED_DATA_DIR": folder, "POOL_SPARE_COUNT": spares, "FLEET_CAP": cap}
        settings = load_settings({**names, "INSTANCES_TOTAL": cap, "INSTANCES_PER_USER": cap})
        datadir.prepare(Path(folder))
        async with open_platform(settings, lambda _: None) as platform, platform.controlling():
            user = await platform.services.accounts.create_user(SETUP, "bench@example.com", "correct horse battery", Role.ADMIN)
            yield Run(lab, platform, user)


async def create_times(scale: float, trials: int, *, hit: bool) -> list[float]:
    """Seconds from the request to a route that was proven."""
    times = []
    async with run_on(1, scale, spares=1 if hit else 0, delays=Delays.real() if scale else None) as run:
        for _ in range(trials):
            if hit:
                await run.until(lambda: _at_least(run.spares, 1), 0.2)
                await asyncio.sleep(1.0)
            began = time.monotonic()
            instance = await run.create()
            await run.until(lambda instance=instance: run.running(instance.id))  # type: ignore[misc]
            times.append(time.monotonic() - began)
    return times


async def many_users(users: int, rate: float, spares: int) -> dict[str, Any]:
    """Creates at a steady rate; how many were accepted, how many ran when the last came, and when all did."""
    async with run_on(SHARDS, 0.0, spares, users + 2 * spares) as run:
        await run.until(lambda: _at_least(run.spares, spares), 0.5)
        say(f"{spares} spares stand ready; now {users} users at {rate:g} a second")
        began, made, used = time.monotonic(), [], (time.process_time(), run.lab.look()[1])
        for number in range(users):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            made.append(await run.create())
        accepted_seconds = time.monotonic() - began
        running = sum([await run.running(instance.id) for instance in made])
        say(f"{users} creates accepted in {accepted_seconds:.0f} s, {running} of them run")

        async def all_run() -> bool:
            return all([await run.running(instance.id) for instance in made])

        await run.until(all_run, 1.0)
        converged_seconds = time.monotonic() - began
        machines = [m for m in await run.platform.services.operations.machines(SETUP) if m.state is MachineState.ASSIGNED]
        platform_cpu, (inventory, lab_cpu) = time.process_time(), run.lab.look()
        fleet = len(await run.platform.services.operations.machines(SETUP))
        return {
            "users": users, "accepted_per_second": users / accepted_seconds, "running_when_the_last_came": running,
            "converged_per_second": users / converged_seconds, "shards": SHARDS,
            "platform_cpu_seconds_a_user": (platform_cpu - used[0]) / users, "lab_cpu_seconds_a_user": (lab_cpu - used[1]) / users,
            "claimed_twice": len(machines) - len({m.instance_id for m in machines}), "machines_too_many": inventory["instances"] - fleet,
        }  # fmt: skip


async def _at_least(count: Callable[[], Any], wanted: int) -> bool:
    return bool(await count() >= wanted)


def _plan(shards: int) -> Plan:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Plan(platform=("127.0.0.1", probe.getsockname()[1]), shards=shards)


def rows(creates: dict[str, float], many: dict[str, Any] | None) -> Sequence[Sequence[str]]:
    """What is printed."""
    lines = [("", "measured", "target")]
    lines += [(name, f"{seconds:.2f} s", "1 s" if "own share" in name else "10-30 s (SEED.md)") for name, seconds in creates.items()]
    if many is not None:
        lines += [(name.replace("_", " "), f"{value:.2f}" if isinstance(value, float) else str(value), "") for name, value in many.items()]
    return lines


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--trials", type=int, default=5, help="creates of each kind, one after the other; 0 leaves them out")
    arguments.add_argument("--users", type=int, default=200, help="how many users create at a steady rate; 0 leaves that part out")
    arguments.add_argument("--rate", type=float, default=5.0, help="creates a second")
    arguments.add_argument("--spares", type=int, default=20)
    given = arguments.parse_args()
    creates = {}
    for name, scale, hit in (
        ("pool hit, AWS as supposed", 1.0, True),
        ("pool hit, the platform's own share", 0.0, True),
        ("pool miss, AWS as supposed", 1.0, False),
    ):
        if given.trials:
            creates[name] = statistics.median(asyncio.run(create_times(scale, given.trials, hit=hit)))
            say(f"{name}: {creates[name]:.2f} s")
    many = None
    if given.users:
        many = asyncio.run(many_users(given.users, given.rate, given.spares))
    publish({"targets": TARGETS, "creates": creates, "many": many}, rows(creates, many), given.json)


if __name__ == "__main__":
    main()
