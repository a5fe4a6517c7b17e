"""The edge while things come, go and fail around it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil
import pytest
import websockets

from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.adapters.local.edge.router import LocalGate, LocalRouter
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.domain.errors import Conflict, Unavailable
from tests.support.edge import IDS, Edge, Gateway, running_gateway
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS, until


@pytest.fixture
async def own_edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """For tests that change it."""
    made = Edge(tmp_path, free_port())
    try:
        yield made
    finally:
        await made.local.stop()


async def test_another_host_on_the_same_port_takes_over_the_edge_that_runs(own_edge: Edge) -> None:
    await own_edge.local.ensure()
    for host, listens_at in (("0.0.0.0", {"0.0.0.0", "::"}), ("127.0.0.1", {"127.0.0.1"})):  # noqa: S104 - what an operator may ask for
        moved = LocalEdge(own_edge.data_dir, host, own_edge.port, own_edge.url)
        await moved.ensure()
        await until(lambda: _listens_at(own_edge.port))
        assert _listens_at(own_edge.port) <= listens_at


def _listens_at(port: int) -> set[str]:
    return {each.laddr.ip for each in psutil.net_connections("tcp") if each.status == "LISTEN" and each.laddr.port == port}


async def test_routes_come_and_go_without_touching_open_websockets(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    address = f"ws://127.0.0.1:{edge.port}/{instance_id}/"
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(websockets.connect(address, additional_headers={"Cookie": cookie})) for _ in range(20)
        ]
        others = [IDS.instance_id() for _ in range(200)]
        for other in others:
            await edge.router.bind(other, gateway.target, IDS.user_id(), 1)
        for other in others:
            await edge.router.release(other)
        for number, connection in enumerate(connections):
            await connection.send(str(number))
            assert await asyncio.wait_for(connection.recv(), PATIENCE_SECONDS) == str(number)
    assert not {route.instance_id for route in await edge.router.list()} & set(others)


async def test_a_killed_companion_comes_back_with_all_that_it_knew(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    routes, sessions = set(await edge.router.list()), await edge.gate.sessions()
    await _kill_child(edge.local.companion)
    answer = await edge.ask(f"/{instance_id}/", cookie)
    assert answer.status == 200
    assert len(gateway.seen) == 1
    assert (set(await edge.router.list()), await edge.gate.sessions()) == (routes, sessions)


async def test_a_killed_caddy_comes_back(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    await _kill_child(edge.local.caddy)

    async def passes() -> bool:
        with suppress(OSError):
            return (await edge.ask(f"/{instance_id}/", cookie)).status == 200
        return False

    await until(passes)


async def test_while_the_platform_is_away_pages_say_so_and_gateways_are_still_reached(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    page = await edge.ask("/instances")
    assert (page.status, page.headers["retry-after"], page.headers["content-type"]) == (503, "2", "text/html; charset=utf-8")
    assert "The platform is restarting" in page.body
    assert "{color-scheme:light dark}" in page.body
    assert not {"server", "via"} & page.headers.keys()
    problem = await edge.ask("/api/v1/instances")
    assert (problem.status, problem.headers["content-type"]) == (503, "application/problem+json")
    assert json.loads(problem.body)["status"] == 503
    assert "The platform is restarting" in (await edge.ask(f"/{instance_id}/")).body
    assert (await edge.ask(f"/{instance_id}/", cookie)).status == 200


async def test_a_dismissed_session_stops_at_once(edge: Edge, gateway: Gateway) -> None:
    instance_id, owner = IDS.instance_id(), IDS.user_id()
    await edge.router.bind(instance_id, gateway.target, owner, 1)
    cookie = await edge.sign_in(owner)
    assert (await edge.ask(f"/{instance_id}/", f"ochs={cookie}")).status == 200
    (session_hash,) = [key for key, user in (await edge.gate.sessions()).items() if user == owner]
    await edge.gate.revoke(session_hash)
    assert (await edge.ask(f"/{instance_id}/", f"ochs={cookie}")).status == 503


async def test_another_control_plane_adopts_the_edge_as_it_runs(edge: Edge) -> None:
    before = edge.local.status()
    await LocalEdge(edge.data_dir, "127.0.0.1", edge.port, edge.url).ensure()
    assert edge.local.status() == before
    assert all(status.state == "running" for status in before.values())


async def test_a_taken_port_is_named_with_the_way_out(own_edge: Edge) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own_edge.port))
        taken.listen()
        with pytest.raises(Conflict, match=f"{own_edge.port}.*--port"):
            await own_edge.local.ensure()
    assert {status.state for status in own_edge.local.status().values()} == {"stopped"}


async def test_changed_settings_move_the_edge_but_not_to_a_taken_port(own_edge: Edge) -> None:
    await own_edge.local.ensure()
    before = own_edge.local.status()
    moved = Edge(own_edge.data_dir, free_port())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", moved.port))
        taken.listen()
        with pytest.raises(Conflict):
            await moved.local.ensure()
    assert own_edge.local.status() == before
    await moved.local.ensure()
    assert (await moved.ask("/")).status == 503
    with pytest.raises(OSError, match="Connect"):
        await own_edge.ask("/")
    assert moved.local.status()["companion"] == before["companion"]


async def test_changed_settings_are_in_force_when_the_edge_is_ensured(own_edge: Edge) -> None:
    """However long the edge with the old settings answers after it was told to end."""
    await own_edge.local.ensure()
    supervisor = psutil.Process(own_edge.local.caddy.status().supervisor_pid)
    supervisor.suspend()

    async def answer_for_a_while() -> None:
        for _ in range(20):
            assert (await own_edge.ask("/")).status == 503
        supervisor.resume()

    moved = Edge(own_edge.data_dir, free_port())
    held = asyncio.create_task(answer_for_a_while())
    await moved.local.ensure()
    assert (await moved.ask("/")).status == 503
    await held


async def test_behind_https_gateways_and_platform_learn_so(own_edge: Edge) -> None:
    local = LocalEdge(own_edge.data_dir, "127.0.0.1", own_edge.port, "https://claw.example.com")
    await local.ensure()
    async with running_gateway() as gateway:
        instance_id, cookie = await own_edge.bound(gateway)
        await own_edge.ask(f"/{instance_id}/", f"__Host-{cookie}")
        assert dict(gateway.seen[0]["headers"])["x-forwarded-proto"] == "https"


async def test_without_a_companion_routes_are_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await LocalRouter(tmp_path, "http://localhost").list()
    with pytest.raises(Unavailable):
        await LocalGate(tmp_path).revoke("0" * 64)


async def _kill_child(process: SupervisedProcess) -> None:
    pid = process.status().child_pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not _is_there(pid))


def _is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
