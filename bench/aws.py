"""The AWS provider in the fast lab: from asking to usable, the calls that it takes, 200 users over three load balancers, and a burst.

1. A create from a hot spare and one that finds none, once with each call taking as long as docs/aws.md supposes, and once with AWS
   taking no time at all: what is left then is the platform's own share. SEED.md says 10 to 30 seconds for the whole.
   Calls in the way are all that the platform made between the request and the moment when the instance ran, whoever in it made them.
2. What the platform asks AWS while nothing happens.
3. So many users at so many a second: how many were accepted and how many run, and whether anything was doubled or left over.
4. So many users at once, with a spare for each, and what it cost to bring the spares up.

The lab, its load balancers and its gateways are one process, the platform is another. Gateways are stand-ins that start at once: how
long OpenClaw takes to start is for the full lab and for `bench.claim`.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.harness import parser, percentile, publish, say
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

TARGETS = {
    "hit_median_seconds": 0.6, "hit_p95_seconds": 1.0, "calls_in_the_way": 0, "own_share_seconds": 1.0, "seed_seconds": (10.0, 30.0),
    "burst_seconds": 30.0, "cpu_seconds_a_machine": 0.1,
}  # fmt: skip
WITH_KEY = CreateRequest(
    "Mine", GatewaySettings(ModelProvider.OPENAI), CredentialsChange({Credential.MODEL_API_KEY: "sk-a-key-of-the-bench"})
)
PATIENCE_SECONDS = 900.0
RARELY_SECONDS = 3.0
"""How often a burst is looked at: to read all rows costs as much as bringing up a machine, and is no cost of the platform's."""
SHARDS = 3
ROUTES_A_SHARD = 80


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

    def calls(self, since: float, until: float) -> Counter[str]:
        """What its account was asked by the platform between two moments, in seconds since the epoch."""
        self._pipe.send("calls")
        return Counter(action for action, at in self._pipe.recv() if since <= at < until)


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
        while (asked := pipe.recv()) != "end":
            if asked == "look":
                pipe.send((lab.cloud.inventory(), time.process_time()))
            else:
                pipe.send([(call.action, call.began_at) for call in lab.cloud.calls if call.caller == "account"])


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

    async def filed(self, instance_id: str) -> bool:
        return (await self.platform.services.instances.get(self.actor, instance_id)).is_filed

    async def in_phase(self, phase: Phase) -> Sequence[Instance]:
        return [each for each in await self.platform.services.instances.list(self.actor) if each.phase is phase]

    async def all_filed(self) -> bool:
        return all(each.is_filed for each in await self.platform.services.instances.list(self.actor))

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


@dataclass(frozen=True)
class Trial:
    """One create: seconds from the request to a route that was proven, and the platform's calls until then and in all."""

    seconds: float
    in_the_way: Counter[str]
    calls: Counter[str]


async def trial(run: Run) -> Trial:
    """One create, until nothing is left to be written about it."""
    began = time.time()
    instance = await run.create()
    await run.until(lambda: run.running(instance.id))
    ran_at = (await run.platform.services.instances.get(run.actor, instance.id)).phase_changed_at
    await run.until(lambda: run.filed(instance.id), 0.2)
    return Trial(ran_at - began, run.lab.calls(began, ran_at), run.lab.calls(began, time.time()))


async def create_trials(scale: float, trials: int, *, hit: bool) -> list[Trial]:
    """Creates one after the other. Hits find a pool that was filled before and rests meanwhile; a miss waits for a machine of its own."""
    async with run_on(1, scale, spares=trials if hit else 0, cap=trials + 10, delays=Delays.real() if scale else None) as run:
        if hit:
            await run.until(lambda: _at_least(run.spares, trials), 0.2)
            await run.platform.services.operations.pause_pool(SETUP)
        made = []
        for _ in range(trials):
            await asyncio.sleep(1.0)
            made.append(await trial(run))
        return made


async def idle_calls(seconds: float) -> Counter[str]:
    """What is asked in an hour in which nothing happens, by what is asked in so many seconds."""
    async with run_on(1, 0.0, spares=1) as run:
        await run.until(lambda: _at_least(run.spares, 1), 0.2)
        await asyncio.sleep(20.0)
        began = time.time()
        await asyncio.sleep(seconds)
        return Counter({action: round(count * 3600 / seconds) for action, count in run.lab.calls(began, time.time()).items()})


async def burst(users: int) -> dict[str, Any]:
    """Creates at once, a spare for each; and before that the filling of the pool, by what it cost."""
    shards = math.ceil((users + 2) / ROUTES_A_SHARD)
    async with run_on(shards, 0.0, users, users + 10) as run:
        began, used = time.monotonic(), time.process_time()
        await run.until(lambda: _at_least(run.spares, users), RARELY_SECONDS)
        filled_seconds, filling_cpu = time.monotonic() - began, time.process_time() - used
        say(f"{users} spares stand ready after {filled_seconds:.0f} s, {filling_cpu / users:.3f} s of CPU each; now {users} users at once")
        await run.platform.services.operations.pause_pool(SETUP)
        await asyncio.sleep(2.0)
        asked_at, used = time.time(), time.process_time()
        made = await asyncio.gather(*(run.create() for _ in range(users)))
        accepted_seconds = time.time() - asked_at

        async def all_run() -> bool:
            return len(await run.in_phase(Phase.RUNNING)) == users

        await run.until(all_run, 1.0)
        took = sorted(instance.phase_changed_at - asked_at for instance in await run.in_phase(Phase.RUNNING))
        until_run_cpu = time.process_time() - used
        await run.until(run.all_filed, RARELY_SECONDS)
        filed_seconds, cpu = time.time() - asked_at, time.process_time() - used
        return {
            "at_once": len(made), "filled_a_second": users / filled_seconds, "cpu_seconds_a_machine_brought_up": filling_cpu / users,
            "accepted_after_seconds": accepted_seconds, "half_run_after_seconds": took[len(took) // 2], "all_run_after_seconds": took[-1],
            "all_filed_after_seconds": filed_seconds, "cpu_seconds_a_create_until_it_runs": until_run_cpu / users,
            "cpu_seconds_a_create_in_all": cpu / users,
        }  # fmt: skip


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


def rows(result: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    """What is printed."""
    lines = [("", "measured", "target")]
    for name, figures in result["creates"].items():
        target = "0.6 s, 1 s" if "hit, AWS" in name else "1 s" if "own share" in name else "10-30 s (SEED.md)"
        lines.append((f"{name}, {figures['trials']} trials", f"{figures['median']:.2f} s, {figures['p95']:.2f} s", target))
        lines.append(("  AWS calls in the way, at worst", f"{sum(figures['in_the_way'].values()):g}", "0" if "hit" in name else ""))
        lines.append(("  AWS calls in all, on average", f"{sum(figures['calls'].values()):.1f}", ""))
    if result["idle"] is not None:
        lines.append(("AWS calls in an idle hour", f"{sum(result['idle'].values()):g}", ""))
    for part in ("many", "burst"):
        for name, value in (result[part] or {}).items():
            lines.append((name.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value), ""))
    return lines


def _told(name: str, calls: Mapping[str, float]) -> None:
    say(f"{name}: {', '.join(f'{count:g} {action}' for action, count in sorted(calls.items())) or 'none'}")


def summary(trials: Sequence[Trial]) -> dict[str, Any]:
    """Seconds as median and 95th percentile; calls on average, and in the way at worst."""
    seconds = [each.seconds for each in trials]
    every = sum((each.calls for each in trials), Counter[str]())
    worst = max((each.in_the_way for each in trials), key=lambda calls: calls.total())
    average = {action: round(count / len(trials), 1) for action, count in every.items()}
    return {
        "trials": len(trials), "median": statistics.median(seconds), "p95": percentile(seconds, 95), "in_the_way": worst, "calls": average,
    }  # fmt: skip


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--trials", type=int, default=5, help="creates of each kind, one after the other; 0 leaves them out")
    arguments.add_argument("--misses", type=int, default=1, help="creates that find no spare, a minute each; 0 leaves them out")
    arguments.add_argument("--idle", type=float, default=60.0, help="seconds in which nothing happens; 0 leaves them out")
    arguments.add_argument("--users", type=int, default=200, help="how many users create at a steady rate; 0 leaves that part out")
    arguments.add_argument("--rate", type=float, default=5.0, help="creates a second")
    arguments.add_argument("--spares", type=int, default=20)
    arguments.add_argument("--burst", type=int, default=0, help="how many users create at once, with a spare for each")
    given = arguments.parse_args()
    result: dict[str, Any] = {"targets": TARGETS, "creates": {}, "idle": None, "many": None, "burst": None}
    for name, scale, trials in (
        ("pool hit, AWS as supposed", 1.0, given.trials),
        ("pool hit, the platform's own share", 0.0, given.trials),
        ("pool miss, AWS as supposed", 1.0, given.misses),
    ):
        if trials:
            result["creates"][name] = summary(asyncio.run(create_trials(scale, trials, hit="hit" in name)))
            say(f"{name}: {result['creates'][name]['median']:.2f} s")
            _told("AWS calls in the way, at worst", result["creates"][name]["in_the_way"])
            _told("AWS calls in all, on average", result["creates"][name]["calls"])
    if given.idle:
        result["idle"] = asyncio.run(idle_calls(given.idle))
        _told("AWS calls in an idle hour", result["idle"])
    if given.users:
        result["many"] = asyncio.run(many_users(given.users, given.rate, given.spares))
    if given.burst:
        result["burst"] = asyncio.run(burst(given.burst))
    publish(result, rows(result), given.json)


if __name__ == "__main__":
    main()
