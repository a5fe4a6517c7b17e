"""How long a page of a list takes with 10,000 instances.

    make bench-lists                # or: python -m bench.lists --instances 10000 --databases sqlite,postgres --json FILE

The web application runs as its user starts it (`openclaw-hosted serve --role web`), on a database that was filled before: each user has ten
instances, one in a hundred failed, and each has three events. Each page is asked for again and again, one request after the other.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from bench.creates import database_url
from bench.harness import parser, percentile, publish, say
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS
from openclaw_hosted.domain.instance import DesiredState, Phase
from openclaw_hosted.services.accounts import TOKEN_PREFIX, digest
from openclaw_hosted.store import open_store, tables
from openclaw_hosted.store.rows import dump_settings
from tests.support.web_only import web_only

TARGET_MS = 200.0
OWN = 10
"""Instances of each user."""
EVENTS_EACH = 3
AT_ONCE = 1000
"""Rows that are added with one statement."""


def measure(database: str, instances: int, times: int) -> dict[str, dict[str, float]]:
    """Every page, on this database."""
    with tempfile.TemporaryDirectory(prefix="och-") as folder, database_url(database, Path(folder)) as url:
        token, ids = asyncio.run(fill(url, instances))
        say(f"{database}: {instances} instances")
        with web_only(Path(folder) / "data", {"DATABASE_URL": url}):
            socket = httpx.HTTPTransport(uds=str(Path(folder) / "data" / "run" / "web.sock"))
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(transport=socket, base_url="http://localhost/api/v1", headers=headers, timeout=60) as api:
                return {name: ask(api, path, times) for name, path in pages(ids).items()}


def pages(ids: Sequence[str]) -> dict[str, str]:
    """What is asked for; `ids` are of all instances, newest first."""
    middle, last = ids[len(ids) // 2], ids[-101]
    return {
        "first 100 of all": "/instances?owner=all&limit=100",
        "100 in the middle": f"/instances?owner=all&limit=100&after={middle}",
        "last 100": f"/instances?owner=all&limit=100&after={last}",
        "first 500 of all": "/instances?owner=all&limit=500",
        "500 in the middle": f"/instances?owner=all&limit=500&after={middle}",
        "those that failed": "/instances?owner=all&phase=failed&limit=100",
        "those of one user": "/instances?owner=user7@example.com",
        "100 events": "/events?limit=100",
        "history of one": f"/instances/{ids[-1]}/history",
    }


def ask(api: httpx.Client, path: str, times: int) -> dict[str, float]:
    """How long the answers took, in milliseconds."""
    took, items = [], 0
    for _ in range(times):
        began = time.perf_counter()
        answer = api.get(path)
        took.append((time.perf_counter() - began) * 1000)
        items = len(answer.json().get("items", ()))
        if answer.status_code != 200 or not items:
            raise SystemExit(f"{path} was answered {answer.status_code}: {answer.text[:300]}")
    return {"median_ms": percentile(took, 50), "p95_ms": percentile(took, 95), "worst_ms": max(took), "items": items}


async def fill(url: str, instances: int) -> tuple[str, Sequence[str]]:
    """Users with instances and events. Returns an admin's token and the instances' ids, newest first."""
    store, ids, now = await open_store(url), SystemIds(), time.time()
    users = [User(ids.user_id(), f"user{number}@example.com", Role.USER, now) for number in range(instances // OWN)]
    admin = User(ids.user_id(), "bench@example.com", Role.ADMIN, now)
    people = [{"id": each.id, "email": each.email, "role": each.role, "created_at": now} for each in (admin, *users)]
    rows = [instance_row(ids.instance_id(), users[number // OWN], number, now) for number in range(instances)]
    rows[-1]["owner_id"] = admin.id
    happened = [
        {"name": EventName.INSTANCE_RUNNING, "at": now, "instance_id": row["id"], "user_id": row["owner_id"]}
        for _ in range(EVENTS_EACH)
        for row in rows
    ]
    async with store.database.write() as connection:
        for table, values in ((tables.users, people), (tables.instances, rows), (tables.events, happened)):
            for start in range(0, len(values), AT_ONCE):
                await connection.execute(insert(table), values[start : start + AT_ONCE])
    token = TOKEN_PREFIX + ids.token()
    await store.accounts.add_token("bench", digest(token), admin.id, "bench", now, Event(EventName.TOKEN_CREATED, now))
    await store.aclose()
    return token, [row["id"] for row in rows]


def instance_row(instance_id: str, owner: User, number: int, now: float) -> dict[str, Any]:
    """One instance, a second older than the one before it."""
    return {
        "id": instance_id, "owner_id": owner.id, "name": f"Assistant {number}", "desired": DesiredState.RUNNING,
        "phase": Phase.FAILED if number % 100 == 0 else Phase.RUNNING, "settings": dump_settings(DEFAULT_SETTINGS),
        "created_at": now - number, "phase_changed_at": now - number,
    }  # fmt: skip


def rows(results: dict[str, dict[str, dict[str, float]]]) -> Sequence[Sequence[str]]:
    """The results for people."""
    names = list(results)
    lines = [("page", "items", *(f"{name}, {which}" for name in names for which in ("median", "95th %")))]
    for page, first in results[names[0]].items():
        cells = [f"{results[name][page][which]:.0f} ms" for name in names for which in ("median_ms", "p95_ms")]
        lines.append((page, f"{first['items']:.0f}", *cells))
    return [*lines, ("target", "", *(f"{TARGET_MS:.0f} ms" for _ in range(2 * len(names))))]


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--instances", type=int, default=10_000)
    arguments.add_argument("--times", type=int, default=50)
    arguments.add_argument("--databases", default="sqlite,postgres")
    given = arguments.parse_args()
    results = {database: measure(database, given.instances, given.times) for database in given.databases.split(",")}
    publish({"target_ms": TARGET_MS, **results}, rows(results), given.json)


if __name__ == "__main__":
    main()
