"""What the operator's console costs with 10,000 instances and 90 days of history: `make bench-console`.

A simulated quarter of a year (demo/) is written into the database, and the web part serves it as it is shipped. Each page is asked for one
request after the other, as an operator does: the time to the first byte, and the bytes of a first view, scripts and style sheets included.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.creates import database_url
from bench.harness import parser, percentile, publish, say
from demo.filling import fill
from demo.month import Month, Plan
from openclaw_hosted.adapters.fake.access import FakeGate
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import SETUP, Actor, Party, Via
from openclaw_hosted.domain.cookies import session_cookies
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.services.accounts import AccountService
from openclaw_hosted.store import open_store
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS

USERS, DAYS, SPARES = 10_600, 90, 20
WARM_UPS, TIMES = 3, 20
TARGETS = {"first_byte_ms": 200, "first_view_kb": 300}
INSIDE = re.compile(r'(?:src|href)="(/static/[^"]+)"')


def plan(users: int = USERS, days: int = DAYS) -> Plan:
    """A large fleet without much trouble: it is the number of rows that counts."""
    return Plan(time.time(), users, days, SPARES, sample_seconds=900.0, interruptions_a_day=0.004)


def measure(database: str, lived: Plan, times: int = TIMES) -> dict[str, dict[str, float]]:
    """Each page on this database: first byte in milliseconds (half, and 95 of 100), and the first view in kilobytes."""
    with tempfile.TemporaryDirectory(prefix="och-") as folder, database_url(database, Path(folder)) as url:
        pages, cookie = asyncio.run(write_quarter(url, lived))
        with serving(Path(folder), url, cookie) as client:
            return {name: measured(client, path, times) for name, path in pages.items()}


async def write_quarter(url: str, lived: Plan) -> tuple[dict[str, str], dict[str, str]]:
    """Fill the database; the pages to ask for, by name, and the cookie of an operator's session."""
    month = Month(lived).live()
    store = await open_store(url)
    await fill(store, month)
    clock = SystemClock()
    accounts = AccountService(store.accounts, store.platform, FakeGate(FakeCloud(clock)), clock, SystemIds())
    operator = await accounts.create_user(SETUP, "operator@example.com", "correct horse battery", Role.ADMIN)
    signed_in = await accounts.start_session(Actor(Party.STRANGER, None, Via.PAGE), operator)
    cookie = {session_cookies(await store.mark(), secure=False)[0]: signed_in.cookie}
    await store.aclose()
    running = [instance for instance in month.instances.values() if instance.phase is Phase.RUNNING]
    say(f"{len(running):,} of {len(month.instances):,} instances run; {len(month.machines):,} machines, {len(month.events):,} events")
    one = running[len(running) // 2]
    pages = {
        "overview, 24 hours": "/admin",
        "overview, 7 days": "/admin?range=7d",
        "overview, 90 days": "/admin?range=90d",
        "pool and machines": "/admin/pool",
        "machines, searched": "/admin/pool?q=a7&state=all&order=changed",
        "instances": "/admin/instances",
        "instances, searched": "/admin/instances?q=hopper&order=name",
        "users": "/admin/users",
        "events": "/admin/events",
        "events of a kind": "/admin/events?name=machine.launch_failed",
        "a machine": f"/admin/machines/{one.machine_id}",
        "an instance": f"/admin/instances/{one.id}",
    }
    return pages, cookie


@contextmanager
def serving(folder: Path, url: str, cookie: dict[str, str]) -> Iterator[httpx.Client]:
    """The web part on this database, and an operator who has signed in."""
    environment = {
        **os.environ, "PROVIDER": "fake", "DATABASE_URL": url, "LOG_LEVEL": "warning", "FLEET_CAP": "10000", "INSTANCES_TOTAL": "1000000",
        "POOL_SPARE_COUNT": str(SPARES),
    }  # fmt: skip
    port, data_dir = free_port(), folder / "data"
    data_dir.mkdir()
    command = [sys.executable, "-m", "openclaw_hosted", "serve", "--role", "web", "--port", str(port), "--data-dir", str(data_dir)]
    process = subprocess.Popen(command, env=environment)
    try:
        place = data_dir / "run" / "web.sock"
        _wait_until_there(place, process)
        transport = httpx.HTTPTransport(uds=str(place))
        headers = {"Accept": "text/html", "X-Forwarded-For": "127.0.0.1"}
        with httpx.Client(transport=transport, base_url=f"http://localhost:{port}", headers=headers, cookies=cookie, timeout=60) as client:
            client.get("/healthz").raise_for_status()
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_there(place: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not place.exists():
        if time.monotonic() > deadline or process.poll() is not None:
            raise SystemExit("The platform does not answer.")
        time.sleep(0.1)


def measured(client: httpx.Client, path: str, asked: int) -> dict[str, float]:
    """One page."""
    page = ""
    times = []
    for number in range(WARM_UPS + asked):
        began = time.perf_counter()
        with client.stream("GET", path) as answer:
            parts = answer.iter_text()
            page = next(parts)
            if number >= WARM_UPS:
                times.append((time.perf_counter() - began) * 1000)
            page += "".join(parts)
            assert answer.status_code == 200, page
    inside = sum(len(client.get(static).content) for static in sorted(set(INSIDE.findall(page))))
    return {
        "first_byte_p50_ms": percentile(times, 50),
        "first_byte_p95_ms": percentile(times, 95),
        "page_kb": len(page.encode()) / 1000,
        "first_view_kb": (len(page.encode()) + inside) / 1000,
    }


def rows_of(pages: dict[str, dict[str, float]]) -> Sequence[Sequence[str]]:
    """For people."""
    units = ("ms", "ms", "KB", "KB")
    rows = [(name, *map(_figure, found.values(), units)) for name, found in pages.items()]
    return [("page", "first byte", "95 of 100", "page", "first view"), *rows]


def _figure(figure: float, unit: str) -> str:
    return f"{figure:.0f} {unit}"


def main() -> None:
    """Measure on SQLite, on Postgres, or on both."""
    arguments = parser(__doc__)
    arguments.add_argument("--database", choices=("sqlite", "postgres"), action="append", help="one of them only (default: both)")
    arguments.add_argument("--users", type=int, default=USERS, help="how many users have come (default: %(default)s)")
    arguments.add_argument("--days", type=int, default=DAYS, help="of history (default: %(default)s)")
    given = arguments.parse_args()
    lived = plan(given.users, given.days)
    found = {database: measure(database, lived) for database in given.database or ("sqlite", "postgres")}
    for database, pages in found.items():
        sys.stdout.write(f"\n{database}; the aim is {TARGETS['first_byte_ms']} ms and {TARGETS['first_view_kb']} KB\n")
        publish({"pages": found, "targets": TARGETS}, rows_of(pages), given.json)


if __name__ == "__main__":
    main()
