"""A user comes from the older system, and goes back, on fakes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from openclaw_hosted.domain.errors import IllegalTransition, LeaseLost, StateConflict, Unavailable
from openclaw_hosted.domain.migration import MigrationState, MigrationStep, Side
from openclaw_hosted.domain.old_things import OldThing, ThingKind
from openclaw_hosted.domain.window import parse_window
from tests.integration.convergence.world import eventually
from tests.integration.migration.world import MigrationWorld
from tests.support.clock import EPOCH

pytestmark = pytest.mark.looptime


async def test_a_user_is_moved_with_their_state_and_bot(world: MigrationWorld) -> None:
    async with world.new.running():
        await world.run()
        assert await world.state() is MigrationState.DONE
        await world.serves_from(Side.NEW, "user-1", "hello")
    row = await world.row()
    assert [note.error for note in row.notes] == [None] * len(row.notes)
    assert 0 < (row.offline_seconds or 0) < 5
    assert "sk-of-the-user" not in repr(row)


async def test_what_is_said_while_the_first_copy_is_made_comes_along(world: MigrationWorld) -> None:
    async def speak(call: str, moment: str) -> None:
        if (call, moment) == ("copies.bring", "after"):
            world.old.say("user-1", "meanwhile")

    async with world.new.running():
        world.new.cloud.hook = speak
        await world.run()
        world.new.cloud.hook = None
        await world.serves_from(Side.NEW, "user-1", "hello", "meanwhile")


async def test_a_rollback_carries_back_what_was_said_since(world: MigrationWorld) -> None:
    async with world.new.running():
        await world.run()
        assert world.old.say("user-1", "on the new side") == (await world.row()).instance_id
        row = await world.rollback()
        assert row.state is MigrationState.ROLLED_BACK
        await world.serves_from(Side.OLD, "user-1", "hello", "on the new side")


async def test_one_who_was_rolled_back_moves_again_only_by_name(world: MigrationWorld) -> None:
    async with world.new.running():
        await world.run()
        await world.rollback()
        await world.run()
        assert await world.state() is MigrationState.ROLLED_BACK
        await world.run("user-1")
        assert await world.state() is MigrationState.DONE
        await world.serves_from(Side.NEW, "user-1", "hello")


async def test_a_key_that_is_not_taken_leaves_the_user_where_they_are(world: MigrationWorld) -> None:
    world.keys.takes = False
    async with world.new.running():
        await world.run()
        row = await world.row()
        assert (row.state, row.instance_id) == (MigrationState.RETURNED, None)
        assert row.error == "The model provider does not take the key: It was revoked."
        await world.serves_from(Side.OLD, "user-1", "hello")


async def test_one_who_went_back_is_tried_again_by_the_next_run(world: MigrationWorld) -> None:
    async with world.new.running():
        for _ in range(4):
            world.new.cloud.fail_next("copies.settle", Unavailable("The file system does not answer."))
        await world.run()
        assert await world.state() is MigrationState.RETURNED
        assert (await world.row()).error == "The file system does not answer."
        await world.serves_from(Side.OLD, "user-1", "hello")
        await world.run()
        assert (await world.row()).attempt == 2
        await world.serves_from(Side.NEW, "user-1", "hello", "and now?")


async def test_a_newer_openclaw_is_not_brought_to_an_older_one(world: MigrationWorld) -> None:
    world.add("user-1", version="2027.1.1")
    async with world.new.running():
        await world.run()
    assert "newer than 2026.9.6" in ((await world.row()).error or "")


async def test_openclaw_is_loaded_before_the_user_begins_to_wait(world: MigrationWorld) -> None:
    calls: list[str] = []

    async def record(call: str, moment: str) -> None:
        if moment == "after" and call in ("gateways.stand_by", "legacy.hold", "copies.install", "gateways.restart", "legacy.lead"):
            calls.append(call)

    async with world.new.running():
        world.new.cloud.hook = record
        await world.run()
        world.new.cloud.hook = None
    assert calls == ["gateways.stand_by", "legacy.hold", "gateways.stand_by", "copies.install", "gateways.restart", "legacy.lead"]


async def test_a_gateway_that_was_loaded_for_a_run_that_never_goes_on_serves_again(world: MigrationWorld) -> None:
    async with world.new.running():

        async def die(call: str, moment: str) -> None:
            if (call, moment) == ("gateways.stand_by", "after"):
                raise LeaseLost("Another run has it.")

        world.new.cloud.hook = die
        with suppress(LeaseLost):
            await world.run()
        world.new.cloud.calm()
        (machine,) = [each for each in world.new.cloud.machines.values() if each.stands_by_until is not None]

        async def is_ready() -> bool:
            return world.new.cloud.ready(machine)

        machine.stands_by_until = world.new.clock.now()
        await eventually(is_ready, lambda: "it still stands by")
        assert world.old.say("user-1", "still here") == "old"


async def test_nobody_waits_outside_of_the_window(world: MigrationWorld) -> None:
    shut, second = 3600 * 3, int(EPOCH) % 86_400
    opens = (second // 3600 + 2) % 24
    world.options = replace(world.options, window=parse_window(f"{opens:02}:00-{(opens + shut // 3600) % 24:02}:00"))
    async with world.new.running():
        await world.run()
        row = await world.row()
        assert (row.state, row.step) == (MigrationState.MOVING, MigrationStep.LOAD)
        assert world.old.say("user-1", "still here") == "old"
        world.options = replace(world.options, window=None)
        await world.run()
        await world.serves_from(Side.NEW, "user-1", "hello", "still here")


async def test_of_many_a_batch_is_moved_and_one_failure_stops_nobody_else(world: MigrationWorld) -> None:
    world.add("user-2", problems=("No e-mail address is known for user-2.",))
    world.add("user-3")
    world.add("user-4")
    async with world.new.running():
        await world.run(most=3)
        states = [await world.state(f"user-{number}") for number in (1, 2, 3)]
        assert states == [MigrationState.DONE, MigrationState.RETURNED, MigrationState.DONE]
        assert await world.new.store.migrations.get("user-4") is None


async def test_two_runs_do_not_work_at_once(world: MigrationWorld) -> None:
    await world.new.store.platform.acquire("migration", "another", 60.0)
    with pytest.raises(StateConflict, match="Another run"):
        await world.run()


async def test_an_old_service_that_somebody_starts_again_is_stopped_and_told_of(world: MigrationWorld) -> None:
    async with world.new.running():
        await world.run()
        service, row = world.old.users["user-1"], await world.row()
        service.desired = service.running = 1
        with pytest.raises(AssertionError, match="two gateways are on the state of user-1"):
            world.old.check_exclusive()
        flow = world.service().flow
        lease = await world.new.store.platform.acquire("migration", "me", 60.0)
        assert lease is not None
        with pytest.raises(StateConflict, match="started again"):
            await flow.soak(row, service.service, lease)
        assert service.desired == 0


async def test_the_old_system_stays_while_anybody_is_left_or_can_go_back(world: MigrationWorld) -> None:
    world.old.belongings = [OldThing(ThingKind.CLUSTER, "arn:cluster", "openclaw"), OldThing(ThingKind.SERVICE, "arn:user-1", "user-1")]
    assert await world.service().obstacles() == ["user-1 is still on the old system (waiting)."]
    async with world.new.running():
        await world.run()
    (reason,) = await world.service().obstacles()
    assert "can still go back, for 7.0 days more" in reason
    with pytest.raises(StateConflict, match="can still go back"):
        await world.service().decommission(world.old.belongings, lambda _: None)
    service = replace(world.service(), rollback_seconds=0.0)
    with pytest.raises(IllegalTransition, match="time for going back has passed"):
        await service.rollback("user-1", world.said.append)
    removals = await service.decommission(await service.belongings(), lambda _: None)
    assert [removal.thing.kind for removal in removals] == [ThingKind.SERVICE, ThingKind.CLUSTER]
    assert world.old.belongings == []


async def test_what_cannot_be_taken_away_is_said_and_the_rest_goes_on(world: MigrationWorld) -> None:
    world.old.users.clear()
    world.old.belongings = [OldThing(ThingKind.CLUSTER, "arn:cluster", "openclaw"), OldThing(ThingKind.NAT_GATEWAY, "nat-1", "nat-1")]
    world.new.cloud.fail_next("legacy.remove", StateConflict("It is in use."))
    service = world.service()
    removals = await service.decommission(await service.belongings(), lambda _: None)
    assert [removal.problem for removal in removals] == ["It is in use.", None]
    await service.decommission(await service.belongings(), lambda _: None)
    assert world.old.belongings == []


async def test_a_plan_changes_nothing_and_says_what_is_missing(world: MigrationWorld) -> None:
    world.add("user-2", problems=("No e-mail address is known for user-2.",), drain_seconds=300.0)
    seen = set()

    async def record(call: str, _: str) -> None:
        seen.add(call)

    world.new.cloud.hook = record
    plan = await world.service().plan()
    assert seen == {"legacy.services", "legacy.settings", "copies.check", "copies.with_keys", "legacy.things"}
    first, second = plan.users
    assert (first.provider, first.channels, first.missing) == ("anthropic", ("telegram",), ())
    assert second.missing == ("No e-mail address is known for user-2.",)
    (note,) = second.notes
    assert note.startswith("An open page may keep the old service from stopping for 300 seconds more.")
    assert "set deregistration_delay.timeout_seconds of its target group to 5." in note
    assert await world.new.store.migrations.all() == []
