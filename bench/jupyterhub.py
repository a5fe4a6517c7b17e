"""From asking for a server to reaching it: ours beside JupyterHub, in the same run.

    make bench-jupyterhub           # or: python -m bench.jupyterhub --rounds 3 --json FILE

What is compared is what the platforms themselves do: take the wish, record it, have a server run, see that it answers, route to it, let
its owner pass. So on both sides the server is the same trivial one, which runs already, and nothing is started for anybody: ours with the
fake provider, JupyterHub with a spawner that answers with that server's address at once. Both keep their state in SQLite, both have their
own proxy in front (our edge; configurable-http-proxy), and both look whether the server answers before they say that it is there. Ours
checks the owner's session with each request; with JupyterHub that is left to the server, which does not check.

Measured from sending the request until the server answers its owner at its address through the proxy. Ours is measured as it is run, with
spares that wait, and without any (`POOL_SPARE_COUNT=0`), which is what JupyterHub does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from bench.claim import signed_in
from bench.edge import backend
from bench.harness import parser, percentile, publish, say
from bench.http import Connection
from bench.peers import answers, chp_command, ended, jupyterhub_python
from tests.support.platform import RunningPlatform, free_port, wait_until
from tests.support.waiting import until

TARGET_RATIO = 3
POLL_SECONDS = 0.01
START_SECONDS = 120.0
TRIVIAL = b"<openclaw-app>"
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
Create = Callable[[int], Awaitable[float]]
"""Creates one server and says after how many seconds its owner reached it."""

CONFIG = """
import os
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

c.JupyterHub.bind_url = os.environ["BENCH_URL"]
c.JupyterHub.hub_port = int(os.environ["BENCH_HUB_PORT"])
c.JupyterHub.spawner_class = Ready
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.log_level = "ERROR"
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.services = [{"name": "bench", "api_token": os.environ["BENCH_TOKEN"]}]
c.JupyterHub.load_roles = [{"name": "bench", "scopes": ["admin:users", "admin:servers"], "services": ["bench"]}]
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.command = os.environ["BENCH_PROXY"].split("\\n")
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:" + os.environ["BENCH_PROXY_API_PORT"]
"""


@contextlib.contextmanager
def jupyterhub(folder: Path, backend_port: int) -> Iterator[tuple[int, str]]:
    """A running hub: its port and the token of its API."""
    port, token = free_port(), secrets.token_hex(16)
    python = jupyterhub_python()
    (folder / "config.py").write_text(CONFIG)
    environment = {
        **os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "BENCH_BACKEND": str(backend_port),
        "BENCH_URL": f"http://127.0.0.1:{port}", "BENCH_HUB_PORT": str(free_port()), "BENCH_TOKEN": token,
        "BENCH_PROXY": "\n".join(chp_command()), "BENCH_PROXY_API_PORT": str(free_port()), "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
    }  # fmt: skip
    command = [str(python), "-m", "jupyterhub", "-f", "config.py"]
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
    with (
        (folder / "hub.log").open("wb") as log,
        client,
        ended(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)),
    ):
        wait_until(lambda: answers(client, "/hub/api/"), START_SECONDS, (folder / "hub.log").read_text)
        yield port, token


def measure_jupyterhub(backend_port: int, at_once: int, rounds: int, one_by_one: int) -> dict[str, float]:
    """Users are added beforehand; their servers are stopped after each round."""
    with tempfile.TemporaryDirectory(prefix="och-") as folder, jupyterhub(Path(folder), backend_port) as (port, token):
        headers = {"Authorization": f"token {token}"}
        names = [f"user{number}" for number in range(at_once)]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/hub/api", headers=headers, timeout=60) as api:
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

            return figures(create, stop_all, at_once, rounds, one_by_one)


def measure_ours(backend_port: int, spares: int, at_once: int, rounds: int, one_by_one: int) -> dict[str, float]:
    """The pool is as it should be before each round."""
    with tempfile.TemporaryDirectory(prefix="och-") as folder:
        environment = {
            "PROVIDER": "fake", "FAKE_GATEWAY": f"127.0.0.1:{backend_port}", "POOL_SPARE_COUNT": str(spares), "FLEET_CAP": "10000",
            "INSTANCES_TOTAL": "100000", "INSTANCES_PER_USER": "100000", "LOG_LEVEL": "warning",
        }  # fmt: skip
        platform = RunningPlatform(Path(folder), free_port(), environment)
        try:
            platform.process = platform.launch("serve")
            wait_until(platform.is_answering, START_SECONDS, lambda: platform.output)
            with platform.api() as api, contextlib.closing(signed_in(platform)) as browser:
                headers = {"Authorization": api.headers["authorization"], "Cookie": f"ochs={browser.cookies['ochs']}"}

                def pool_is_ready() -> None:
                    wait_until(lambda: api.get("/pool").json()["status"] == "ready", START_SECONDS)

                async def create(_: int) -> float:
                    began = time.perf_counter()
                    async with Connection("127.0.0.1", platform.port, headers) as connection:
                        reply = await connection.ask("POST", "/api/v1/instances", b'{"name": "bench"}')
                        assert reply.status == 202, reply
                        return await reached(connection, f"/{json.loads(reply.body)['id']}/", began)

                pool_is_ready()
                return figures(create, pool_is_ready, at_once, rounds, one_by_one)
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


def figures(create: Create, between: Callable[[], None], at_once: int, rounds: int, one_by_one: int) -> dict[str, float]:
    """Several at once, round by round, and one at a time; `between` is called after each round and each server."""
    rates: list[float] = []
    together: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        together += asyncio.run(all_of(create, range(at_once)))
        rates.append(at_once / (time.perf_counter() - began))
        between()
    single = []
    for number in range(one_by_one):
        single.append(asyncio.run(all_of(create, range(number % at_once, number % at_once + 1)))[0])
        if number % at_once == at_once - 1:
            between()
    return {
        "per_second": statistics.median(rates),
        "at_once_median_ms": statistics.median(together) * 1000,
        "at_once_p95_ms": percentile(together, 95) * 1000,
        "single_median_ms": statistics.median(single) * 1000,
    }


async def all_of(create: Create, numbers: range) -> Sequence[float]:
    """All of these at once."""
    return await asyncio.gather(*(create(number) for number in numbers))


def measure(at_once: int, rounds: int, one_by_one: int) -> dict[str, Any]:
    """JupyterHub and both of ours."""
    with backend() as port:
        say("JupyterHub")
        hub = measure_jupyterhub(port, at_once, rounds, one_by_one)
        say("ours, with spares")
        spares = measure_ours(port, at_once, at_once, rounds, one_by_one)
        say("ours, without spares")
        none = measure_ours(port, 0, at_once, rounds, one_by_one)
    return {
        "at_once": at_once,
        "jupyterhub": hub,
        "ours": spares,
        "ours_without_spares": none,
        "ratio": spares["per_second"] / hub["per_second"],
        "ratio_without_spares": none["per_second"] / hub["per_second"],
        "target_ratio": TARGET_RATIO,
    }


def rows(result: dict[str, Any]) -> Sequence[Sequence[str]]:
    """The result for people."""
    lines: list[Sequence[str]] = [
        ("", f"{result['at_once']} at once, a second", "median", "95th percentile", "one at a time, median", "ratio")
    ]
    for name, key, ratio in (
        ("JupyterHub", "jupyterhub", "1"),
        ("ours", "ours", f"{result['ratio']:.1f}"),
        ("ours, without spares", "ours_without_spares", f"{result['ratio_without_spares']:.1f}"),
    ):
        row = result[key]
        times = (f"{row[column]:.0f} ms" for column in ("at_once_median_ms", "at_once_p95_ms", "single_median_ms"))
        lines.append((name, f"{row['per_second']:.1f}", *times, ratio))
    return [*lines, ("target", "", "", "", "", f"{TARGET_RATIO}")]


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--at-once", type=int, default=50)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--one-by-one", type=int, default=20)
    given = arguments.parse_args()
    result = measure(given.at_once, given.rounds, given.one_by_one)
    publish(result, rows(result), given.json)


if __name__ == "__main__":
    main()
