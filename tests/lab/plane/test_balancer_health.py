"""How an Application Load Balancer judges targets, and what becomes of connections."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import httpx
import pytest
import websockets

from lab.plane.balancer import LabBalancers
from lab.plane.base import Group, Target
from lab.plane.checks import Watch
from tests.lab.plane.balancing import ARN, QUICK, Backend, Cloud, ask, backend, becomes, to
from tests.support.waiting import PATIENCE_SECONDS, until


def state(balancers: LabBalancers, each: Backend) -> str:
    return balancers.health("tg", f"i-{each.name}:{each.port}")


async def test_a_group_that_no_rule_uses_is_unused_and_never_checked(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend() as idle:
        cloud.group("tg", idle)
        async with backend("used") as used:
            cloud.add(to(cloud.group("other", used)))
            await until(lambda: used.checks >= 5)
        assert (state(balancers, idle), idle.checks) == ("unused", 0)
        cloud.add(to("tg"))
        await becomes(lambda: state(balancers, idle), "healthy")


async def test_a_target_is_checked_again_and_again_and_its_health_follows(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend() as one:
        cloud.add(to(cloud.group("tg", one)))
        for healthy, wanted in ((True, "healthy"), (False, "unhealthy"), (True, "healthy")):
            one.healthy = healthy
            await becomes(lambda: state(balancers, one), wanted)


@pytest.mark.parametrize(
    ("checks", "states"),
    [
        ("+", "healthy"),
        ("-+", "initial healthy"),
        ("--+++", "initial unhealthy unhealthy unhealthy healthy"),
        ("+-+--++-+++", "healthy healthy healthy healthy unhealthy unhealthy unhealthy unhealthy unhealthy unhealthy healthy"),
    ],
)
def test_a_new_target_needs_one_pass_and_later_thresholds_count_checks_in_a_row(checks: str, states: str) -> None:
    check = replace(QUICK, healthy_threshold=3, unhealthy_threshold=2)
    watch = Watch(Group("tg", {}, check), Target("127.0.0.1", 1))
    seen = []
    for each in checks:
        watch.note(passed=each == "+")
        seen.append(watch.state)
    assert seen == states.split()


async def test_a_check_fails_by_status_by_silence_and_by_a_closed_port(cloud: Cloud, balancers: LabBalancers) -> None:
    with socket.socket() as mute, socket.socket() as closed:
        for each in (mute, closed):
            each.bind(("127.0.0.1", 0))
        mute.listen()
        async with backend("odd") as odd:
            only_204 = replace(QUICK, statuses=frozenset({204}), timeout_seconds=0.1)
            cloud.add(to(cloud.group("tg", odd, check=only_204)))
            targets = {
                "odd": odd.target,
                "mute": Target("127.0.0.1", mute.getsockname()[1]),
                "closed": Target("127.0.0.1", closed.getsockname()[1]),
            }
            cloud.groups["tg"] = replace(cloud.groups["tg"], targets=targets)
            for name in targets:
                await becomes(lambda name=name: balancers.health("tg", name), "unhealthy")  # type: ignore[misc]


async def test_checks_may_go_to_a_port_of_their_own(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend("serves", healthy=False) as serves, backend("tells") as tells:
        cloud.add(to(cloud.group("tg", serves, check=replace(QUICK, port=tells.port))))
        await becomes(lambda: state(balancers, serves), "healthy")
        assert serves.checks == 0


async def test_it_fails_open_when_no_target_is_healthy(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend("sick", healthy=False) as sick:
        cloud.add(to(cloud.group("tg", sick)))
        await becomes(lambda: state(balancers, sick), "unhealthy")
        assert (await ask(balancers.address(ARN, 80))).body == "sick"


async def test_a_group_without_targets_answers_503(cloud: Cloud, balancers: LabBalancers) -> None:
    cloud.add(to(cloud.group("tg"), paths=("/x",)))

    async def unavailable() -> bool:
        answer = await ask(balancers.address(ARN, 80), "/x")
        return answer.status == 503 and answer.headers["server"] == "awselb/2.0"

    await until(unavailable)


async def test_a_large_request_that_nobody_takes_still_gets_its_answer(cloud: Cloud, balancers: LabBalancers) -> None:
    cloud.rules = (to(cloud.group("tg")),)
    host, port = balancers.address(ARN, 80)
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(3):
            answer = await client.post(f"http://{host}:{port}/", content=b"x" * 3_000_000)
            assert answer.status_code == 503


async def test_a_target_that_refuses_or_breaks_off_answers_502(cloud: Cloud, balancers: LabBalancers) -> None:
    async def break_off(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: str) -> None:
        writer.close()

    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: str) -> None:
        writer.write(b"220 smtp\r\n\r\n")

    for answering in (break_off, babble):
        async with backend("broken", answering) as broken:
            cloud.rules = (to(cloud.group("tg", broken)),)
            await becomes(lambda broken=broken: state(balancers, broken), "healthy")  # type: ignore[misc]
            assert (await ask(balancers.address(ARN, 80))).status == 502
    await becomes(lambda: state(balancers, broken), "unhealthy")
    assert (await ask(balancers.address(ARN, 80))).status == 502


async def test_a_target_that_stays_silent_for_the_idle_timeout_answers_504(cloud: Cloud, balancers: LabBalancers) -> None:
    answered = asyncio.Event()

    async def stall(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _head: str) -> None:
        await answered.wait()

    cloud.idle_timeout_seconds = 0.4
    async with backend("slow", stall) as slow:
        cloud.add(to(cloud.group("tg", slow)))
        await becomes(lambda: state(balancers, slow), "healthy")
        assert (await ask(balancers.address(ARN, 80))).status == 504
        answered.set()


async def test_a_target_that_takes_no_connection_answers_504(cloud: Cloud) -> None:
    balancers = LabBalancers(cloud.topology, connect_timeout_seconds=0.5)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        cloud.rules = (to(cloud.group("tg")),)
        cloud.groups["tg"] = replace(cloud.groups["tg"], targets={"full": Target(*full.getsockname())})
        await becomes(lambda: balancers.health("tg", "full"), "unhealthy")
        assert (await ask(balancers.address(ARN, 80))).status == 504
        for each in waiting:
            each.close()
    balancers.close()


async def test_an_idle_connection_is_closed_and_one_that_streams_is_not(cloud: Cloud, balancers: LabBalancers) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.write(b".")

    cloud.idle_timeout_seconds = 0.5
    async with backend("drips", drip) as drips:
        cloud.add(to(cloud.group("tg", drips)))
        await becomes(lambda: state(balancers, drips), "healthy")
        assert (await ask(balancers.address(ARN, 80))).body == "." * 8
        reader, writer = await asyncio.open_connection(*balancers.address(ARN, 80))
        assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
        writer.close()


async def test_a_draining_target_gets_no_new_request_but_keeps_its_websocket(cloud: Cloud, balancers: LabBalancers) -> None:
    async def echo(socket: websockets.ServerConnection) -> None:
        async for message in socket:
            await socket.send(f"{socket.request.path if socket.request else ''} {message!s}")

    async with websockets.serve(echo, "127.0.0.1", 0) as server, backend("fresh") as fresh:
        old = Backend("old", port=next(iter(server.sockets)).getsockname()[1])
        cloud.add(to(cloud.group("tg", old, check=replace(QUICK, statuses=frozenset({426}), path="/"))))
        await becomes(lambda: state(balancers, old), "healthy")
        host, port = balancers.address(ARN, 80)
        async with websockets.connect(f"ws://{host}:{port}/oc-1", proxy=None) as client:
            await client.send("before")
            assert await client.recv() == "/oc-1 before"
            cloud.groups["tg"] = replace(cloud.groups["tg"], targets={**cloud.groups["tg"].targets, "fresh": fresh.target})
            cloud.drain("tg", old)
            await becomes(lambda: state(balancers, old), "draining")
            assert [(await ask((host, port))).body for _ in range(4)] == ["fresh"] * 4
            await client.send("x" * 300_000)
            assert len(str(await client.recv())) == 300_006


async def test_when_all_that_is_left_drains_it_answers_503(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend() as last:
        cloud.add(to(cloud.group("tg", last)))
        await becomes(lambda: state(balancers, last), "healthy")
        cloud.drain("tg", last)
        await becomes(lambda: state(balancers, last), "draining")
        assert (await ask(balancers.address(ARN, 80))).status == 503


async def test_an_idle_websocket_is_cut(cloud: Cloud, balancers: LabBalancers) -> None:
    async def hold(socket: websockets.ServerConnection) -> None:
        await socket.send(await socket.recv())
        await socket.wait_closed()

    cloud.idle_timeout_seconds = 0.5
    async with websockets.serve(hold, "127.0.0.1", 0, ping_interval=None) as server:
        target = Backend("holds", port=next(iter(server.sockets)).getsockname()[1])
        cloud.add(to(cloud.group("tg", target, check=replace(QUICK, statuses=frozenset({426})))))
        await becomes(lambda: state(balancers, target), "healthy")
        host, port = balancers.address(ARN, 80)
        async with websockets.connect(f"ws://{host}:{port}/", proxy=None, ping_interval=None) as client:
            await client.send("before")
            assert await client.recv() == "before"
            await asyncio.wait_for(client.wait_closed(), PATIENCE_SECONDS)
