"""From asking for a server to reaching it: ours beside JupyterHub, in the same run.

    make bench-jupyterhub           # or: python -m bench.jupyterhub --rounds 5 --json FILE
    python -m bench.jupyterhub --openclaw     # with OpenClaw behind both, one at a time

What is compared is what the platforms themselves do: take the wish, record it, have a server run, see that it answers, route to it, let
its owner pass. So on both sides the server is the same trivial one, which runs already, and nothing is started for anybody: ours with the
fake provider, JupyterHub with a spawner that answers with that server's address at once. Both keep their state in SQLite, both have their
own proxy in front (our edge; configurable-http-proxy), and both look whether the server answers before they say that it is there. Ours
checks the owner's session with each request; with JupyterHub that is left to the server, which does not check.

Measured from sending the request until the server answers its owner at its address through the proxy. All are started beforehand and take
turns, and a ratio is that of two turns of one round, so that whatever else the machine does slows down both. Ours is measured as it is
run, with spares that wait, and without any (`POOL_SPARE_COUNT=0`), which is what JupyterHub does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from bench import gateway_starts
from bench.claim import signed_in
from bench.edge import backend
from bench.harness import parser, percentile, publish, say
from bench.http import Connection
from bench.hub import START_SECONDS, jupyterhub
from tests.support.platform import RunningPlatform, wait_until
from tests.support.ports import free_port
from tests.support.waiting import until

TARGET_RATIO = 3
POLL_SECONDS = 0.01
TRIVIAL = b"<openclaw-app>"
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

SPAWNER = """
from jupyterhub.spawner import Spawner

class Ready(Spawner):
    \"\"\"The server runs already.\"\"\"
    running = False

    async def start(self):
        self.running = True
        return "127.0.0.1", int(os.environ["BENCH_BACKEND"])

    async def stop(self, now=False):
        self.running = False

    async def poll(self):
        return None if self.running else 0

c.JupyterHub.spawner_class = Ready
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the platforms, running, and what was measured of it so far. Times are seconds."""

    create: Callable[[int], Awaitable[float]]
    """Creates one server and says after how many seconds its owner reached it."""
    between: Callable[[], None]
    """Called after as many creates as there are at once: has all as it was before."""
    rates: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    single: list[float] = field(default_factory=list)


@contextlib.contextmanager
def hub_side(backend_port: int, at_once: int) -> Iterator[Side]:
    """JupyterHub. Users are added beforehand; their servers are stopped after each round."""
    with (
        tempfile.TemporaryDirectory(prefix="och-") as folder,
        jupyterhub(Path(folder), SPAWNER, {"BENCH_BACKEND": str(backend_port)}) as (port, headers),
        httpx.Client(base_url=f"http://127.0.0.1:{port}/hub/api", headers=headers, timeout=60) as api,
    ):
        names = [f"user{number}" for number in range(at_once)]
        api.post("/users", json={"usernames": names}).raise_for_status()

        def stop_all() -> None:
            for name in names:
                api.delete(f"/users/{name}/server").raise_for_status()

        async def create(number: int) -> float:
            began = time.perf_counter()
            async with Connection("127.0.0.1", port, headers) as connection:
                reply = await connection.ask("POST", f"/hub/api/users/{names[number]}/server", b"{}")
                assert reply.status in (201, 202), reply
                return await reached(connection, f"/user/{names[number]}/", began)

        yield Side(create, stop_all)


@contextlib.contextmanager
def our_side(backend_port: int, spares: int) -> Iterator[Side]:
    """Ours. The pool is as it should be before each round."""
    with tempfile.TemporaryDirectory(prefix="och-") as folder, running(Path(folder), backend_port, spares) as (platform, api, headers):

        def pool_is_ready() -> None:
            wait_until(lambda: api.get("/pool").json()["status"] == "ready", START_SECONDS)

        async def create(_: int) -> float:
            began = time.perf_counter()
            async with Connection("127.0.0.1", platform.port, headers) as connection:
                reply = await connection.ask("POST", "/api/v1/instances", b'{"name": "bench"}')
                assert reply.status == 202, reply
                return await reached(connection, f"/{json.loads(reply.body)['id']}/", began)

        pool_is_ready()
        yield Side(create, pool_is_ready)


@contextlib.contextmanager
def running(folder: Path, backend_port: int, spares: int) -> Iterator[tuple[RunningPlatform, httpx.Client, Mapping[str, str]]]:
    """A platform with the fake provider, a client of its API, and the headers of a user who is signed in."""
    environment = {
        "PROVIDER": "fake", "FAKE_GATEWAY": f"127.0.0.1:{backend_port}", "POOL_SPARE_COUNT": str(spares), "FLEET_CAP": "10000",
        "INSTANCES_TOTAL": "100000", "INSTANCES_PER_USER": "100000", "LOG_LEVEL": "warning",
    }  # fmt: skip
    platform = RunningPlatform(folder, free_port(), environment)
    try:
        platform.process = platform.launch("serve")
        wait_until(platform.is_answering, START_SECONDS, lambda: platform.output)
        with platform.api() as api, contextlib.closing(signed_in(platform)) as browser:
            yield (
                platform,
                api,
                {
                    "Authorization": api.headers["authorization"],
                    "Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()),
                },
            )
    finally:
        platform.down()


async def reached(connection: Connection, path: str, began: float) -> float:
    """Seconds from `began` until the trivial server answers there.

    One client looks at a time, in the order in which their wishes were accepted: looking costs the platform as well.
    """

    async def answers_there() -> bool:
        return TRIVIAL in (await connection.ask("GET", path)).body

    async with turn():
        await until(answers_there, START_SECONDS, POLL_SECONDS)
    return time.perf_counter() - began


def turn() -> asyncio.Lock:
    """The lock of this loop."""
    loop = asyncio.get_running_loop()
    return _TURNS.setdefault(loop, asyncio.Lock())


def burst(side: Side, at_once: int) -> None:
    """Several at once."""
    began = time.perf_counter()
    side.together.extend(asyncio.run(all_of(side.create, range(at_once))))
    side.rates.append(at_once / (time.perf_counter() - began))
    side.between()


def one_at_a_time(side: Side, count: int, at_once: int) -> None:
    """One after the other."""
    for number in range(count):
        side.single.extend(asyncio.run(all_of(side.create, range(number % at_once, number % at_once + 1))))
        if number % at_once == at_once - 1:
            side.between()


async def all_of(create: Callable[[int], Awaitable[float]], numbers: range) -> Sequence[float]:
    """All of these at once."""
    return await asyncio.gather(*(create(number) for number in numbers))


def figures(side: Side) -> dict[str, Any]:
    """What was measured of one."""
    return {
        "per_second": statistics.median(side.rates),
        "per_second_of_rounds": side.rates,
        "at_once_median_ms": statistics.median(side.together) * 1000,
        "at_once_p95_ms": percentile(side.together, 95) * 1000,
        "single_median_ms": statistics.median(side.single) * 1000,
    }


def ratio(side: Side, hub: Side) -> float:
    """How many times as fast as the hub, in the median of the rounds."""
    return statistics.median(ours / theirs for ours, theirs in zip(side.rates, hub.rates, strict=True))


def measure(at_once: int, rounds: int, one_by_one: int) -> dict[str, Any]:
    """JupyterHub and both of ours, in turns."""
    with backend() as port, hub_side(port, at_once) as hub, our_side(port, at_once) as spares, our_side(port, 0) as none:
        for number in range(1, rounds + 1):
            for side in (hub, spares, none):
                burst(side, at_once)
            told = ", ".join(f"{side.rates[-1]:.1f}" for side in (hub, spares, none))
            say(f"{number}/{rounds}: JupyterHub, ours, ours without spares: {told} a second")
        for side in (hub, spares, none):
            one_at_a_time(side, one_by_one, at_once)
    return {
        "at_once": at_once,
        "jupyterhub": figures(hub),
        "ours": figures(spares),
        "ours_without_spares": figures(none),
        "ratio": ratio(spares, hub),
        "ratio_without_spares": ratio(none, hub),
        "target_ratio": TARGET_RATIO,
    }


def rows(result: dict[str, Any]) -> Sequence[Sequence[str]]:
    """The result for people."""
    lines: list[Sequence[str]] = [
        ("", f"{result['at_once']} at once, a second", "median", "95th percentile", "one at a time, median", "ratio")
    ]
    for name, key, factor in (
        ("JupyterHub", "jupyterhub", "1"),
        ("ours", "ours", f"{result['ratio']:.2f}"),
        ("ours, without spares", "ours_without_spares", f"{result['ratio_without_spares']:.2f}"),
    ):
        row = result[key]
        times = (f"{row[column]:.0f} ms" for column in ("at_once_median_ms", "at_once_p95_ms", "single_median_ms"))
        lines.append((name, f"{row['per_second']:.1f}", *times, factor))
    return [*lines, ("target", "", "", "", "", f"{TARGET_RATIO}")]


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--at-once", type=int, default=50)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--one-by-one", type=int, default=20)
    arguments.add_argument("--openclaw", action="store_true", help="start OpenClaw itself, one at a time")
    arguments.add_argument("--trials", type=int, default=7, help="of each, with --openclaw")
    given = arguments.parse_args()
    if given.openclaw:
        started = gateway_starts.measure(given.trials)
        publish(started, gateway_starts.rows(started), given.json)
        return
    result = measure(given.at_once, given.rounds, given.one_by_one)
    publish(result, rows(result), given.json)


if __name__ == "__main__":
    main()
