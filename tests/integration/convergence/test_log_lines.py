"""What the loops log names instance and machine by the same keys, whichever loop it is, and whatever it calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from structlog.contextvars import get_contextvars

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.restore_point import PointState
from tests.integration.convergence.world import World, eventually

Seen = Mapping[str, list[tuple[str, Mapping[str, str]]]]
"""By loop: each call that it made, and what a line would have named just then."""


def watched(world: World) -> Seen:
    seen: dict[str, list[tuple[str, Mapping[str, str]]]] = defaultdict(list)

    async def note(call: str, when: str) -> None:
        if when == "before":
            bound = {name: str(value) for name, value in get_contextvars().items()}
            seen[bound.get("loop", "")].append((call, bound))

    world.cloud.hook = note
    return seen


async def test_every_call_of_a_loop_is_made_with_the_ids_that_it_is_about(world: World) -> None:
    world.options = replace(world.options, policy=replace(world.options.policy, spares=1))
    seen = watched(world)
    async with world.running():
        await world.until_full()
        instance = await world.create()
        placed = await world.until_phase(instance.id, Phase.RUNNING)
        point_id = world.ports().ids.restore_point_id()
        await world.store.instances.update(instance.id, partial(lifecycle.schedule_point, point_id=point_id, now=world.clock.now()))

        async def is_made() -> bool:
            return (await world.store.restore_points.get(point_id)).state is PointState.READY

        await eventually(is_made, lambda: "no restore point was made")
        await world.until_full()
        assert placed.machine_id is not None
        await world.store.machines.lose(
            placed.machine_id, partial(lifecycle.notice, now=world.clock.now(), kind=NoticeKind.INTERRUPTION, leaves_at=world.clock.now())
        )

        async def has_moved() -> bool:
            now = await world.store.instances.get(instance.id)
            return now.phase is Phase.RUNNING and now.machine_id != placed.machine_id

        await eventually(has_moved, lambda: "it did not move")
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
    assert "" not in seen, seen[""]
    assert {"machines", "placement", "filing", "liveness", "restore_points"} <= seen.keys()
    for loop in ("placement", "filing"):
        assert {bound.get("instance") for _, bound in seen[loop]} == {instance.id}
    for call, bound in seen["placement"]:
        assert "machine" in bound or not call.startswith("gateways."), call
    for call, bound in [*seen["machines"], *((call, bound) for call, bound in seen["liveness"] if call.startswith("gateways."))]:
        assert bound.get("machine", "").startswith("mc-"), call
    on_users_machine = [bound for _, bound in seen["liveness"] if bound.get("machine") == placed.machine_id]
    assert {bound.get("instance") for bound in on_users_machine} <= {instance.id, None}
    made = [bound for call, bound in seen["restore_points"] if call == "points.make"]
    assert made
    assert {bound.get("instance") for bound in made} == {instance.id}
