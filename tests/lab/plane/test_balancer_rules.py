"""Which target an Application Load Balancer gives a request to, and what it adds to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from lab.plane.balancer import LabBalancers
from lab.plane.base import Rule
from tests.lab.plane.balancing import ARN, Backend, Cloud, ask, backend, becomes, parse, to
from tests.support.waiting import PATIENCE_SECONDS, until


async def said(balancers: LabBalancers, target: str = "/", host: str = "lb.test") -> str:
    return (await ask(balancers.address(ARN, 80), target, host)).body


async def reaches(balancers: LabBalancers, name: str, target: str = "/", host: str = "lb.test") -> None:
    """The topology is read ten times a second: wait until the change is in force."""

    async def holds() -> bool:
        return await said(balancers, target, host) == name

    await until(holds)


async def test_the_rule_with_the_lowest_number_wins_and_the_default_action_takes_the_rest(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend("first") as first, backend("second") as second:
        cloud.add(to(cloud.group("tg-2", second), priority=20, paths=("/oc/*",)))
        cloud.add(to(cloud.group("tg-1", first), priority=3, paths=("/oc/one/*",)))
        await reaches(balancers, "first", "/oc/one/page")
        assert await said(balancers, "/oc/two/page") == "second"
        assert await said(balancers, "/other") == "no such route"


@pytest.mark.parametrize(
    ("pattern", "target", "takes"),
    [
        ("/oc/*", "/oc/a/b", True),
        ("/oc/*", "/oc/", True),
        ("/oc/*", "/oc", False),
        ("/oc/*", "/OC/a", False),
        ("/oc", "/oc?x=/oc/y", True),
        ("/*/end", "/a?b=/end", False),
        ("/o?", "/oc", True),
        ("/o?", "/o", False),
        ("/[ab].x", "/a.x", False),
        ("/a.x", "/abx", False),
        ("/a%20b", "/a%20b", True),
    ],
)
async def test_paths_match_by_case_with_stars_and_question_marks_and_without_the_query(
    cloud: Cloud, balancers: LabBalancers, pattern: str, target: str, takes: bool
) -> None:
    async with backend("taken") as taken:
        cloud.add(to(cloud.group("tg", taken), paths=("/not-this", pattern)))
        await reaches(balancers, "taken", "/not-this")
        assert (await said(balancers, target) == "taken") is takes


async def test_hosts_match_whatever_their_case_and_port_and_both_conditions_have_to_hold(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend("taken") as taken:
        cloud.add(to(cloud.group("tg", taken), hosts=("*.Claw.example.com",), paths=("/in/*",)))
        await reaches(balancers, "taken", "/in/x", "oc-1.CLAW.example.com:8080")
        assert await said(balancers, "/out", "oc-1.claw.example.com") == "no such route"
        assert await said(balancers, "/in/x", "claw.example.com") == "no such route"


async def test_weights_share_requests_out_and_a_group_of_weight_0_gets_none_but_is_checked(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend("a") as a, backend("b") as b, backend("c") as c:
        arns = cloud.group("tg-a", a), cloud.group("tg-b", b), cloud.group("tg-c", c)
        cloud.add(Rule(1, (), (), dict(zip(arns, (3, 1, 0), strict=True))))
        await becomes(lambda: balancers.health("tg-c", f"i-c:{c.port}"), "healthy")
        assert Counter([await said(balancers) for _ in range(40)]) == {"a": 30, "b": 10}
        assert c.heads == []


async def test_a_rule_whose_groups_all_weigh_0_answers_503(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend("a") as a:
        cloud.add(Rule(1, ("/x",), (), {cloud.group("tg-a", a): 0}))
        await becomes(lambda: balancers.health("tg-a", f"i-a:{a.port}"), "healthy")
        assert (await ask(balancers.address(ARN, 80), "/x")).status == 503


async def test_fixed_responses_and_redirects_are_answered_by_the_balancer_itself(cloud: Cloud, balancers: LabBalancers) -> None:
    cloud.listener_port = 443
    cloud.add(Rule(1, ("/gone",), (), {}, fixed=(410, "application/json", '{"gone":true}')))
    cloud.add(Rule(2, ("/old/*",), (), {}, redirect=(301, "#{protocol}://#{host}:#{port}/new/#{path}?#{query}")))
    gone = await ask(balancers.address(ARN, 443), "/gone")
    assert (gone.status, gone.headers["content-type"], gone.body) == (410, "application/json", '{"gone":true}')
    moved = await ask(balancers.address(ARN, 443), "/old/a?b=c", "Lb.test:99")
    assert (moved.status, moved.headers["location"]) == (301, "https://lb.test:443/new/old/a?b=c")


async def test_the_answer_to_head_has_no_body(cloud: Cloud, balancers: LabBalancers) -> None:
    cloud.add(Rule(1, ("/gone",), (), {}, fixed=(410, "text/plain", "gone")))
    gone = await ask(balancers.address(ARN, 80), "/gone", method="HEAD")
    assert (gone.status, gone.headers["content-length"], gone.body) == (410, "4", "")


async def test_targets_learn_the_client_and_the_port_it_came_to_and_all_else_stays(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend() as taken:
        cloud.listener_port = 443
        cloud.add(to(cloud.group("tg", taken)))
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "1", "Cookie": "a=b"}
        await ask(balancers.address(ARN, 443), "/a%2Fb/../c//d?e=%20f", "Lb.test:99", forged)
        seen = taken.last
        assert seen["target"] == "/a%2Fb/../c//d?e=%20f"
        assert seen["x-forwarded-for"] == "203.0.113.9, 192.0.2.1"
        assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("https", "443")
        assert seen["x-amzn-trace-id"].startswith("Root=1-")
        assert (seen["host"], seen["cookie"]) == ("Lb.test:99", "a=b")


async def test_a_body_arrives_whole_and_the_connection_serves_the_next_request(cloud: Cloud, balancers: LabBalancers) -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        body = b"x" * 0
        if "chunked" in head.lower():
            while size := int((await reader.readline()).strip(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(str(len(body))), str(len(body)).encode())
        )

    async with backend("a", count) as taken:
        cloud.add(to(cloud.group("tg", taken)))
        reader, writer = await asyncio.open_connection(*balancers.address(ARN, 80))
        await becomes(lambda: balancers.health("tg", f"i-a:{taken.port}"), "healthy")
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(64):
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert b"1048576" in await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        second = parse(await asyncio.wait_for(reader.read(), PATIENCE_SECONDS))
        assert second.status == 200
        writer.close()


async def test_a_listener_that_is_deleted_is_no_longer_reached(cloud: Cloud, balancers: LabBalancers) -> None:
    address = balancers.address(ARN, 80)
    cloud.listener_port = 81

    async def refused() -> bool:
        try:
            await ask(address)
        except OSError:
            return True
        return False

    await until(refused)
    assert (await ask(balancers.address(ARN, 81))).status == 404
    with pytest.raises(LookupError):
        balancers.address(ARN, 80)


async def test_requests_go_round_robin_over_the_healthy_targets(cloud: Cloud, balancers: LabBalancers) -> None:
    async with backend("a") as a, backend("b") as b, backend("sick", healthy=False) as sick:
        cloud.add(to(cloud.group("tg", a, b, sick)))
        for each, state in ((a, "healthy"), (b, "healthy"), (sick, "unhealthy")):
            await becomes(lambda each=each: balancers.health("tg", name_of(each)), state)  # type: ignore[misc]
        assert Counter([await said(balancers) for _ in range(10)]) == {"a": 5, "b": 5}
        cloud.groups["tg"] = replace(cloud.groups["tg"], targets={name_of(b): b.target})
        await reaches(balancers, "b")
        assert {await said(balancers) for _ in range(4)} == {"b"}


def name_of(each: Backend) -> str:
    return f"i-{each.name}:{each.port}"
