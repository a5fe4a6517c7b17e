"""The contracts of `Router` and `Gate`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

import pytest

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import Conflict, Unavailable
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.router import Gate, Route, Router, Target


class RouterHarness(Protocol):
    """An edge with nothing on it yet. A test module gives it as the fixture `harness`."""

    @property
    def router(self) -> Router: ...

    @property
    def gate(self) -> Gate: ...

    @property
    def ids(self) -> Ids: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def checks_owner(self) -> bool:
        """Whether the edge itself lets nobody pass but the owner; else what is behind it does."""
        ...

    async def target(self, *, answers: bool = True) -> Target:
        """A machine of its own, on which a gateway answers, or nothing does."""
        ...

    def session(self, user: UserId, expires_at: float) -> Session:
        """A signed-in browser; the edge does not know of it yet."""
        ...

    async def reached(self, instance_id: InstanceId, session: Session | None = None) -> MachineId | None:
        """Which machine a request of this browser reaches; None where it is the platform's to answer."""
        ...


async def admitted(harness: RouterHarness, user: UserId) -> Session:
    """A signed-in browser that the edge knows."""
    session = harness.session(user, harness.clock.now() + 1000)
    await harness.gate.allow(session)
    return session


class RouterContract:
    async def test_a_prepared_route_is_listed_and_lets_nobody_pass_where_the_edge_decides(self, harness: RouterHarness) -> None:
        instance_id, target, session = harness.ids.instance_id(), await harness.target(), await admitted(harness, harness.ids.user_id())
        for _ in range(2):
            await harness.router.prepare(instance_id, target)
        await harness.router.confirm(instance_id)
        assert list(await harness.router.list()) == [Route(instance_id, target.machine_id, None, 0)]
        assert await harness.reached(instance_id, session) == (None if harness.checks_owner else target.machine_id)
        assert await harness.reached(instance_id) == (None if harness.checks_owner else target.machine_id)

    @pytest.mark.parametrize("prepared", [True, False])
    async def test_a_bound_route_lets_its_owner_pass_and_nobody_else(self, harness: RouterHarness, prepared: bool) -> None:
        instance_id, target, owner = harness.ids.instance_id(), await harness.target(), harness.ids.user_id()
        if prepared:
            await harness.router.prepare(instance_id, target)
        for _ in range(2):
            await harness.router.bind(instance_id, target, owner, 1)
            await harness.router.mark(instance_id, target, owner, 1)
        assert list(await harness.router.list()) == [Route(instance_id, target.machine_id, owner, 1)]
        assert await harness.reached(instance_id, await admitted(harness, owner)) == target.machine_id
        for stranger in (await admitted(harness, harness.ids.user_id()), None):
            assert (await harness.reached(instance_id, stranger) is None) is harness.checks_owner

    async def test_binding_moves_a_route(self, harness: RouterHarness) -> None:
        instance_id, owner = harness.ids.instance_id(), harness.ids.user_id()
        old, new = await harness.target(), await harness.target()
        session = await admitted(harness, owner)
        await harness.router.bind(instance_id, old, owner, 1)
        await harness.router.bind(instance_id, new, owner, 2)
        assert await harness.reached(instance_id, session) == new.machine_id
        assert list(await harness.router.list()) == [Route(instance_id, new.machine_id, owner, 2)]

    async def test_a_held_route_is_the_platforms_to_answer_until_it_is_bound_anew(self, harness: RouterHarness) -> None:
        instance_id, owner = harness.ids.instance_id(), harness.ids.user_id()
        old, new = await harness.target(answers=False), await harness.target()
        session = await admitted(harness, owner)
        await harness.router.hold(instance_id, old.machine_id)
        await harness.router.bind(instance_id, old, owner, 1)
        for _ in range(2):
            await harness.router.hold(instance_id, old.machine_id)
        assert await harness.reached(instance_id, session) is None
        assert list(await harness.router.list()) == [Route(instance_id, old.machine_id, owner, 1)]
        await harness.router.bind(instance_id, new, owner, 2)
        await harness.router.hold(instance_id, old.machine_id)
        assert await harness.reached(instance_id, session) == new.machine_id

    async def test_an_older_generation_changes_nothing(self, harness: RouterHarness) -> None:
        instance_id, owner = harness.ids.instance_id(), harness.ids.user_id()
        old, new = await harness.target(), await harness.target()
        await harness.router.bind(instance_id, new, owner, 2)
        with suppress(Conflict, Unavailable):
            await harness.router.mark(instance_id, old, owner, 1)
        with pytest.raises(Conflict):
            await harness.router.bind(instance_id, old, owner, 1)
        assert list(await harness.router.list()) == [Route(instance_id, new.machine_id, owner, 2)]

    async def test_preparing_never_changes_a_bound_route(self, harness: RouterHarness) -> None:
        instance_id, owner, target = harness.ids.instance_id(), harness.ids.user_id(), await harness.target()
        await harness.router.bind(instance_id, target, owner, 1)
        await harness.router.prepare(instance_id, await harness.target())
        assert list(await harness.router.list()) == [Route(instance_id, target.machine_id, owner, 1)]

    async def test_routes_do_not_touch_each_other(self, harness: RouterHarness) -> None:
        owner = harness.ids.user_id()
        session = await admitted(harness, owner)
        routes = {harness.ids.instance_id(): await harness.target() for _ in range(3)}
        await asyncio.gather(*(harness.router.bind(instance_id, target, owner, 1) for instance_id, target in routes.items()))
        gone = next(iter(routes))
        await harness.router.release(gone)
        reached = {instance_id: await harness.reached(instance_id, session) for instance_id in routes}
        assert reached == {instance_id: None if instance_id == gone else target.machine_id for instance_id, target in routes.items()}

    async def test_a_released_route_is_gone_and_releasing_again_does_nothing(self, harness: RouterHarness) -> None:
        instance_id, owner = harness.ids.instance_id(), harness.ids.user_id()
        await harness.router.bind(instance_id, await harness.target(), owner, 1)
        session = await admitted(harness, owner)
        for _ in range(2):
            await harness.router.release(instance_id)
        assert list(await harness.router.list()) == []
        assert await harness.reached(instance_id, session) is None

    async def test_a_probe_sees_that_the_target_answers(self, harness: RouterHarness) -> None:
        instance_id, target = harness.ids.instance_id(), await harness.target()
        await harness.router.bind(instance_id, target, harness.ids.user_id(), 1)
        await harness.router.probe(instance_id, target)
        assert dict(await harness.gate.sessions()) == {}

    async def test_a_probe_says_so_where_the_target_does_not_answer(self, harness: RouterHarness) -> None:
        instance_id, target = harness.ids.instance_id(), await harness.target(answers=False)
        await harness.router.bind(instance_id, target, harness.ids.user_id(), 1)
        with pytest.raises(Unavailable):
            await harness.router.probe(instance_id, target)

    async def test_a_probe_says_so_where_another_target_answers(self, harness: RouterHarness) -> None:
        instance_id = harness.ids.instance_id()
        await harness.router.bind(instance_id, await harness.target(), harness.ids.user_id(), 1)
        with pytest.raises(Unavailable):
            await harness.router.probe(instance_id, await harness.target())

    async def test_a_probe_says_so_where_nobody_may_pass(self, harness: RouterHarness) -> None:
        instance_id, target = harness.ids.instance_id(), await harness.target()
        with pytest.raises(Unavailable):
            await harness.router.probe(instance_id, target)
        await harness.router.prepare(instance_id, target)
        if harness.checks_owner:
            with pytest.raises(Unavailable):
                await harness.router.probe(instance_id, target)

    async def test_the_public_address_ends_with_the_id_and_a_slash(self, harness: RouterHarness) -> None:
        instance_id = harness.ids.instance_id()
        assert harness.router.public_url(instance_id).startswith("http")
        assert harness.router.public_url(instance_id).endswith(f"/{instance_id}/")


class GateContract:
    async def test_an_admitted_session_is_listed_until_it_is_dismissed(self, harness: RouterHarness) -> None:
        first, second = harness.ids.user_id(), harness.ids.user_id()
        one, two = await admitted(harness, first), await admitted(harness, second)
        assert dict(await harness.gate.sessions()) == {one.hash: first, two.hash: second}
        await harness.gate.revoke(one.hash)
        assert dict(await harness.gate.sessions()) == {two.hash: second}

    async def test_admitting_twice_and_dismissing_the_unknown_do_nothing(self, harness: RouterHarness) -> None:
        session = await admitted(harness, harness.ids.user_id())
        await harness.gate.allow(session)
        await harness.gate.revoke("0" * 64)
        assert dict(await harness.gate.sessions()) == {session.hash: session.user_id}

    async def test_a_dismissed_session_does_not_pass(self, harness: RouterHarness) -> None:
        instance_id, owner, target = harness.ids.instance_id(), harness.ids.user_id(), await harness.target()
        await harness.router.bind(instance_id, target, owner, 1)
        ended, other = await admitted(harness, owner), await admitted(harness, owner)
        await harness.gate.revoke(ended.hash)
        assert await harness.reached(instance_id, ended) is None
        assert await harness.reached(instance_id, other) == target.machine_id

    async def test_a_session_that_ran_out_neither_passes_nor_is_listed(self, harness: RouterHarness) -> None:
        instance_id, owner = harness.ids.instance_id(), harness.ids.user_id()
        await harness.router.bind(instance_id, await harness.target(), owner, 1)
        session = harness.session(owner, harness.clock.now() - 1)
        await harness.gate.allow(session)
        assert await harness.reached(instance_id, session) is None
        assert dict(await harness.gate.sessions()) == {}
