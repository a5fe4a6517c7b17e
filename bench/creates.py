"""How many creates the control plane accepts, how soon it answers, and how fast they converge to running.

    make bench-creates              # or: python -m bench.creates --seconds 30 --databases sqlite,postgres --json FILE

The platform is started as its user starts it (`openclaw-hosted serve`: API, control loops, edge), with the fake provider, whose machines
are ready at once, so that what is measured is the platform itself. The load generator runs beside it on the same machine.

saturated    a number of users, each sends the next create once the last was answered; counted until the time is over.
              Then the load stops, and the clock runs on until the last instance is running.
at a rate    creates are sent at fixed times, answered or not; the time of each runs from when it was due.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop
from sqlalchemy import func, select

from bench.harness import cpu_seconds, parser, percentile, publish, say
from bench.http import Connection
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.services.accounts import TOKEN_PREFIX, digest
from openclaw_hosted.store import Store, open_store, tables
from tests.support.platform import RunningPlatform, wait_until
from tests.support.ports import free_port
from tests.support.postgres import running_postgres

PATH = "/api/v1/instances"
BODY = b'{"name": "bench"}'
USERS = 16
"""Each with a connection."""
SPARES = 20
CONVERGE_SECONDS = 900.0
TARGETS = {"accepted_per_second": 100, "p99_ms": 250}


def measure(database: str, seconds: float, rate: float) -> dict[str, float]:
    """Both loads, each on a fresh platform with this database."""
    with started(database) as (platform, url, tokens):
        saturated = uvloop.run(saturate(platform, url, tokens, seconds))
    with started(database) as (platform, url, tokens):
        latencies = uvloop.run(at_rate(platform, tokens, seconds, rate))
    return {
        **saturated,
        "rate": rate,
        "p50_ms": percentile(latencies, 50) * 1000,
        "p99_ms": percentile(latencies, 99) * 1000,
    }


@contextmanager
def started(database: str) -> Iterator[tuple[RunningPlatform, str, Sequence[str]]]:
    """A platform with an empty database and a full pool, the database's address, and what each user sends as `Authorization`."""
    with tempfile.TemporaryDirectory(prefix="och-") as folder, database_url(database, Path(folder)) as url:
        environment = {
            "PROVIDER": "fake", "DATABASE_URL": url, "POOL_SPARE_COUNT": str(SPARES), "FLEET_CAP": "10000",
            "INSTANCES_TOTAL": "1000000", "INSTANCES_PER_USER": "1000000", "LOG_LEVEL": "warning",
        }  # fmt: skip
        platform = RunningPlatform(Path(folder), free_port(), environment)
        try:
            platform.process = platform.launch("serve")
            wait_until(platform.is_answering, 120, lambda: platform.output)
            with platform.api() as api:
                wait_until(lambda: api.get("/pool").json()["status"] == "ready", 120)
            yield platform, url, asyncio.run(add_users(url))
        finally:
            platform.down()


@contextmanager
def database_url(database: str, folder: Path) -> Iterator[str]:
    """An empty database: SQLite in the folder, or Postgres, which runs as it is shipped, syncs included."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'platform.sqlite'}"
        return
    with running_postgres(durable=True) as server:
        yield asyncio.run(server.new_database())


async def add_users(url: str) -> Sequence[str]:
    """Users, and for each what it sends as `Authorization`."""
    store, ids, now = await open_store(url, upgrade=False), SystemIds(), time.time()
    tokens = [TOKEN_PREFIX + ids.token() for _ in range(USERS)]
    for number, token in enumerate(tokens):
        user = User(ids.user_id(), f"user{number}@example.com", Role.USER, now)
        await store.accounts.add_user(user, None, None)
        await store.accounts.add_token(f"bench{number}", digest(token), user.id, "bench", now, Event(EventName.TOKEN_CREATED, now))
    await store.aclose()
    return [f"Bearer {token}" for token in tokens]


async def saturate(platform: RunningPlatform, url: str, tokens: Sequence[str], seconds: float) -> dict[str, float]:
    """As many creates as it accepts, and the time until all run."""
    store = await open_store(url, upgrade=False)
    assert platform.process is not None
    pid = platform.process.pid
    latencies: list[float] = []
    began, cpu = time.perf_counter(), cpu_seconds(pid)
    await asyncio.gather(*(create_until(platform.port, token, began + seconds, latencies) for token in tokens))
    took, cpu_used = time.perf_counter() - began, cpu_seconds(pid) - cpu
    converged = await running(store)
    say(f"{len(latencies)} accepted in {took:.1f} s, {converged} of them running")
    while await running(store) < len(latencies):
        if time.perf_counter() - began > took + CONVERGE_SECONDS:
            raise SystemExit(f"Only {await running(store)} of {len(latencies)} instances run; see the platform's log.")
        await asyncio.sleep(0.2)
    until_all_run = time.perf_counter() - began
    await store.aclose()
    return {
        "accepted": len(latencies),
        "accepted_per_second": len(latencies) / took,
        "saturated_p99_ms": percentile(latencies, 99) * 1000,
        "cpu_percent": cpu_used / took * 100,
        "converged_under_load_per_second": converged / took,
        "converged_per_second": len(latencies) / until_all_run,
        "seconds_until_all_run": until_all_run,
    }


async def create_until(port: int, token: str, deadline: float, latencies: list[float]) -> None:
    """One create after the other."""
    async with Connection("127.0.0.1", port, {"Authorization": token}) as connection:
        while time.perf_counter() < deadline:
            latencies.append(await create(connection, time.perf_counter()))


async def at_rate(platform: RunningPlatform, tokens: Sequence[str], seconds: float, rate: float) -> Sequence[float]:
    """The latencies of creates sent at this rate, each from when it was due."""
    free = [Connection("127.0.0.1", platform.port, {"Authorization": token}) for token in tokens]
    began = time.perf_counter()

    async def one(due: float) -> float:
        await asyncio.sleep(due - time.perf_counter())
        connection = free.pop() if free else Connection("127.0.0.1", platform.port, {"Authorization": tokens[0]})
        try:
            return await create(connection, due)
        finally:
            free.append(connection)

    latencies = await asyncio.gather(*(one(began + number / rate) for number in range(int(seconds * rate))))
    for connection in free:
        connection.close()
    return latencies


async def create(connection: Connection, due: float) -> float:
    """Seconds from `due` until it was accepted."""
    reply = await connection.ask("POST", PATH, BODY)
    if reply.status != 202:
        raise SystemExit(f"A create was answered {reply.status}: {reply.body[:300]!r}")
    return time.perf_counter() - due


async def running(store: Store) -> int:
    """How many instances run."""
    count = select(func.count()).select_from(tables.instances).where(tables.instances.c.phase == Phase.RUNNING)
    async with store.database.read() as connection:
        return int((await connection.execute(count)).scalar_one())


def rows(results: dict[str, dict[str, float]]) -> Sequence[Sequence[str]]:
    """The results for people."""
    lines = [
        (
            "creates",
            "accepted/s",
            "CPU of 1 core",
            "p99, saturated",
            "running/s, meanwhile",
            "running/s, to the last",
            "p50 at the rate",
            "p99 at the rate",
        )
    ]
    for name, result in results.items():
        lines.append((
            name, f"{result['accepted_per_second']:.0f}", f"{result['cpu_percent']:.0f} %", f"{result['saturated_p99_ms']:.0f} ms",
            f"{result['converged_under_load_per_second']:.0f}", f"{result['converged_per_second']:.0f}",
            f"{result['p50_ms']:.0f} ms", f"{result['p99_ms']:.0f} ms",
        ))  # fmt: skip
    lines.append(("target", f"{TARGETS['accepted_per_second']}", "", "", "", "", "", f"{TARGETS['p99_ms']} ms"))
    return lines


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--rate", type=float, default=50.0, help="creates a second of the second load")
    arguments.add_argument("--databases", default="sqlite,postgres")
    given = arguments.parse_args()
    results = {}
    for database in given.databases.split(","):
        say(f"{database}: starting the platform")
        results[database] = measure(database, given.seconds, given.rate)
    publish({"targets": TARGETS, **results}, rows(results), given.json)


if __name__ == "__main__":
    main()
