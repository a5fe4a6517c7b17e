"""Our edge beside JupyterHub's proxy, configurable-http-proxy, in the same run.

    make bench-edge                 # or: python -m bench.edge --seconds 5 --rounds 5 --json FILE

Both lead to the same trivial server. Ours is as the platform runs it (Caddy, and forward-auth that it asks for each request whose
session this is and whether the instance is theirs); the peer forwards whatever comes and checks nobody.

throughput   wrk with 20 connections, one route or all of a thousand; the two take turns, and each figure is the median of its rounds.
new routes   with 5,000 routes there: from the call that adds one until a request to it is answered by the server behind it, one at a
             time, and 20 at once.
changes      50 WebSockets are open while 1,000 routes are added and taken away; what is lost, and what memory that costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
import websockets

from bench.harness import cost_of, parser, percentile, publish, say
from bench.http import Connection
from bench.peers import Load, Proxy, configurable_http_proxy, ended, pause, wrk
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.router import Target
from tests.support.edge import IDS, Edge, running_gateway
from tests.support.platform import REPOSITORY
from tests.support.ports import free_port

CONNECTIONS = 20
SOCKETS = 50
TARGETS = {"new_route_ms": 5, "new_route_at_once_ms": 20, "requests_per_second_ratio": 1.0, "p99_ratio": 1.0}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done."""

    seconds: float
    rounds: int
    busy_routes: int = 1000
    routes: int = 5000
    additions: int = 100
    at_once: int = 20
    changes: int = 1000


@dataclass(frozen=True, slots=True)
class Bench:
    """Both edges, their backend, and the owner of all our routes."""

    edge: Edge
    proxy: Proxy
    target: Target
    owner: UserId
    cookie: str
    folder: Path

    async def add(self, instance_id: InstanceId) -> None:
        """Add a route to ours."""
        await self.edge.router.bind(instance_id, self.target, self.owner, 1)

    async def add_to_peer(self, instance_id: InstanceId) -> None:
        """Add a route to the peer."""
        await asyncio.to_thread(self.proxy.add, f"/{instance_id}", self.target.address)


async def measure(sizes: Sizes) -> dict[str, Any]:
    """All of it, on edges that are started for it."""
    async with started() as bench:
        routes = [IDS.instance_id() for _ in range(sizes.routes)]
        await add_all(bench, routes[:1])
        one = throughput(bench, routes[:1], sizes)
        await add_all(bench, routes[1 : sizes.busy_routes])
        many = throughput(bench, routes[: sizes.busy_routes], sizes)
        await add_all(bench, routes[sizes.busy_routes :])
        say(f"new routes beside {sizes.routes}")
        return {
            "one_route": one,
            "many_routes": {"routes": sizes.busy_routes, **many},
            "new_route": {"routes": sizes.routes, **await new_routes(bench, sizes)},
            "changes": await changes(bench, sizes),
            "targets": TARGETS,
        }


@contextlib.asynccontextmanager
async def started() -> AsyncIterator[Bench]:
    """Both edges and the backend, for the length of the block."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="och-")))
        port = stack.enter_context(backend())
        proxy = stack.enter_context(configurable_http_proxy())
        edge, owner = Edge(folder, free_port()), IDS.user_id()
        try:
            await edge.local.ensure()
            cookie = f"ochs={await edge.sign_in(owner)}"
            yield Bench(edge, proxy, Target(MachineId("mc-bench"), "mc-bench", f"127.0.0.1:{port}"), owner, cookie, folder)
        finally:
            await edge.local.stop()


@contextlib.contextmanager
def backend() -> Iterator[int]:
    """The port of a trivial server in a process of its own."""
    port = free_port()
    with ended(subprocess.Popen([sys.executable, "-m", "bench.backend", str(port)], cwd=REPOSITORY)):
        pause()
        yield port


async def add_all(bench: Bench, routes: Sequence[InstanceId]) -> None:
    """Add the routes to both."""
    for route in routes:
        await bench.add(route)
        await bench.add_to_peer(route)


def throughput(bench: Bench, routes: Sequence[InstanceId], sizes: Sizes) -> dict[str, float]:
    """Both under full load, in turns."""
    script = bench.folder / "paths.lua"
    script.write_text(wrk_script([f"/{route}/" for route in routes]))

    def load(port: int) -> Load:
        url = f"http://127.0.0.1:{port}/{routes[0]}/"
        return wrk(url, seconds=sizes.seconds, connections=CONNECTIONS, headers={"Cookie": bench.cookie}, script=script)

    ours, peer = [], []
    for number in range(sizes.rounds):
        ours.append(load(bench.edge.port))
        peer.append(load(bench.proxy.port))
        say(f"{len(routes)} routes, {number + 1}/{sizes.rounds}: ours {told(ours[-1])}, peer {told(peer[-1])}")
    pairs = list(zip(ours, peer, strict=True))
    return {
        **{f"ours_{name}": statistics.median(getattr(each, name) for each in ours) for name in Load.__slots__},
        **{f"peer_{name}": statistics.median(getattr(each, name) for each in peer) for name in Load.__slots__},
        "requests_per_second_ratio": statistics.median(a.requests_per_second / b.requests_per_second for a, b in pairs),
        "p99_ratio": statistics.median(a.p99_ms / b.p99_ms for a, b in pairs),
    }


def told(load: Load) -> str:
    """A round in a few words."""
    return f"{load.requests_per_second:.0f}/s (99 %: {load.p99_ms:.1f} ms)"


def wrk_script(paths: Sequence[str]) -> str:
    """A script for wrk that goes through all paths, again and again."""
    quoted = ",".join(f'"{path}"' for path in paths)
    return (
        f"local paths, at, requests = {{{quoted}}}, 0, {{}}\n"
        "function init() for i, path in ipairs(paths) do requests[i] = wrk.format(nil, path) end end\n"
        "function request() at = at % #requests + 1 return requests[at] end\n"
    )


async def new_routes(bench: Bench, sizes: Sizes) -> dict[str, float]:
    """How long a new route takes until it is in force: one at a time, and several at once."""
    ours = [await in_force(bench.edge.port, bench.cookie, bench.add) for _ in range(sizes.additions)]
    peer = [await in_force(bench.proxy.port, bench.cookie, bench.add_to_peer) for _ in range(sizes.additions)]
    at_once = []
    for _ in range(max(1, sizes.additions // sizes.at_once)):
        at_once += await asyncio.gather(*(in_force(bench.edge.port, bench.cookie, bench.add) for _ in range(sizes.at_once)))
    return {
        "ours_median_ms": statistics.median(ours) * 1000,
        "ours_p99_ms": percentile(ours, 99) * 1000,
        "peer_median_ms": statistics.median(peer) * 1000,
        "peer_p99_ms": percentile(peer, 99) * 1000,
        "at_once": sizes.at_once,
        "ours_at_once_median_ms": statistics.median(at_once) * 1000,
        "ours_at_once_p99_ms": percentile(at_once, 99) * 1000,
    }


async def in_force(port: int, cookie: str, add: Callable[[InstanceId], Awaitable[None]]) -> float:
    """Seconds from the call until the new address is answered by the server behind it."""
    instance_id = IDS.instance_id()
    async with Connection("127.0.0.1", port, {"Cookie": cookie}) as connection:
        await connection.ask("GET", f"/{instance_id}/")
        began = time.perf_counter()
        await add(instance_id)
        while (await connection.ask("GET", f"/{instance_id}/")).status != 200:
            pass
        return time.perf_counter() - began


async def changes(bench: Bench, sizes: Sizes) -> dict[str, float]:
    """Open WebSockets and memory, before and after many changes."""
    async with running_gateway() as gateway, contextlib.AsyncExitStack() as stack:
        instance_id = IDS.instance_id()
        await bench.edge.router.bind(instance_id, gateway.target, bench.owner, 1)
        address = f"ws://127.0.0.1:{bench.edge.port}/{instance_id}/"
        headers = {"Cookie": bench.cookie}
        sockets = [await stack.enter_async_context(websockets.connect(address, additional_headers=headers)) for _ in range(SOCKETS)]
        before = memory(bench)
        for _ in range(sizes.changes // 2):
            route = IDS.instance_id()
            await bench.add(route)
            await bench.edge.router.release(route)
        alive = await asyncio.gather(*(echoes(connection) for connection in sockets))
        return {
            "changes": sizes.changes, "sockets": SOCKETS, "sockets_lost": alive.count(False),
            "memory_before_mb": before, "memory_after_mb": memory(bench),
        }  # fmt: skip


async def echoes(connection: websockets.ClientConnection) -> bool:
    """Whether what is sent still comes back."""
    try:
        await connection.send("still there")
        return await asyncio.wait_for(connection.recv(), 10) == "still there"
    except (websockets.ConnectionClosed, TimeoutError):
        return False


def memory(bench: Bench) -> float:
    """What Caddy and the companion hold, in MB."""
    return cost_of(*(status.child_pid for status in bench.edge.local.status().values() if status.child_pid)).pss_mb


def compared(figures: dict[str, float], name: str, form: str) -> tuple[str, str, str]:
    """Ours, the peer's, and the ratio."""
    ratio = figures[f"{name.removesuffix('_ms')}_ratio"]
    return format(figures[f"ours_{name}"], form), format(figures[f"peer_{name}"], form), f"{ratio:.2f}"


def rows(result: dict[str, Any]) -> Sequence[Sequence[str]]:
    """The result for people."""
    one, many, new, changed = (result[name] for name in ("one_route", "many_routes", "new_route", "changes"))
    lines = [("", "ours", "configurable-http-proxy", "ratio", "target")]
    for name, figures in (("1 route", one), (f"{many['routes']} routes", many)):
        lines.append((f"{name}: requests a second", *compared(figures, "requests_per_second", ".0f"), "> 1"))
        lines.append((f"{name}: 99th percentile, ms", *compared(figures, "p99_ms", ".1f"), "< 1"))
    return [
        *lines,
        (f"new route beside {new['routes']}, median", f"{new['ours_median_ms']:.1f} ms", f"{new['peer_median_ms']:.1f} ms", "", "5 ms"),
        (f"{new['at_once']} at once, median", f"{new['ours_at_once_median_ms']:.1f} ms", "", "", "20 ms"),
        (f"{new['at_once']} at once, 99th percentile", f"{new['ours_at_once_p99_ms']:.1f} ms", "", "", ""),
        (f"WebSockets lost of {changed['sockets']} over {changed['changes']} changes", f"{changed['sockets_lost']}", "", "", "0"),
        ("memory before and after", f"{changed['memory_before_mb']:.0f}, {changed['memory_after_mb']:.0f} MB", "", "", "steady"),
    ]


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=5.0, help="of each round")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    result = uvloop.run(measure(Sizes(given.seconds, given.rounds)))
    publish(result, rows(result), given.json)


if __name__ == "__main__":
    main()
