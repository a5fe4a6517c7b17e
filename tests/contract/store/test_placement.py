"""`InstanceStore` under a lease, and what users ask for meanwhile. What follows what is proven in tests/unit/domain/test_lifecycle.py."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import IllegalTransition, LeaseLost, LimitReached, RevisionMoved, StateConflict
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import DesiredState, Phase, Step, StepName
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.store import Store
from tests.support.life import (
    NOW,
    ask_delete,
    ask_restart,
    ask_restore,
    ask_update,
    change,
    fail,
    file,
    hand_over,
    lose,
    place,
    purge,
    restart,
)

from .make import FOR_EVER, LONG_AGO, MINUTE, OTHER, OWNER, ROOMY, add_spares, create, deleted, event_names, lease, running

OPENAI = GatewaySettings(ModelProvider.OPENAI)


async def test_a_placed_instance_runs_and_has_no_more_work(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    await store.instances.reschedule(await lease(store, instance), 0, "slow")
    before = await store.instances.steps(instance.id)
    last = Step(StepName.PROBE, 1, 2, NOW + 8, NOW + 9)
    placed = await place(store, await lease(store, instance), NOW + 9, steps=[last])
    assert await store.instances.get(instance.id) == placed
    assert await store.instances.steps(instance.id) == [*before, last]
    assert (placed.phase, placed.phase_changed_at, placed.applied_revision) == (Phase.RUNNING, NOW + 9, 0)
    assert (placed.attempts, placed.last_error) == (0, None)
    assert (await event_names(store, instance))[-1] is EventName.INSTANCE_RUNNING
    assert await store.instances.lease_due(10, MINUTE) == []


async def test_an_instance_that_runs_is_work_of_another_kind_until_all_is_written_about_it(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    await place(store, await lease(store, instance), filed=False)
    assert await store.instances.lease_due(10, MINUTE) == []
    ((due, held),) = await store.instances.lease_unfiled(10, MINUTE)
    assert (due.id, due.is_filed, await store.instances.renew([held], MINUTE)) == (instance.id, False, frozenset({instance.id}))
    assert await store.instances.lease_unfiled(10, MINUTE) == []
    await store.instances.reschedule(held, 0, "slow")
    ((due, held),) = await store.instances.lease_unfiled(10, MINUTE)
    filed = await file(store, held)
    assert (due.attempts, filed.attempts, filed.is_filed, filed.phase) == (1, 0, True, Phase.RUNNING)
    assert await store.instances.lease_unfiled(10, MINUTE) == []


async def test_deletion_comes_before_what_is_left_to_be_written(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    await place(store, await lease(store, instance), filed=False)
    await ask_delete(store, instance.id)
    assert await store.instances.lease_unfiled(10, MINUTE) == []
    ((due, _),) = await store.instances.lease_due(10, MINUTE)
    assert due.phase is Phase.DELETING


async def test_a_lease_that_was_given_back_writes_nothing_more(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    held = await lease(store, instance)
    await fail(store, held)
    step = Step(StepName.SECRET, 1, 1, NOW)
    for attempt in (
        place(store, held),
        store.instances.reschedule(held, 0, None),
        store.instances.record_steps(held, [step]),
        hand_over(store, held, 0),
        restart(store, held, 1),
    ):
        with pytest.raises(LeaseLost):
            await attempt
    assert await store.instances.renew([held], MINUTE) == frozenset()
    assert await event_names(store, instance) == [EventName.INSTANCE_CREATED, EventName.INSTANCE_FAILED]
    assert await store.instances.steps(instance.id) == []


async def test_an_illegal_transition_keeps_the_lease_and_the_row(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    held = await lease(store, instance)
    with pytest.raises(IllegalTransition):
        await purge(store, held)
    assert (await store.instances.get(instance.id)).phase is Phase.PENDING
    assert await store.instances.renew([held], MINUTE) == {instance.id}


async def test_a_failed_instance_is_left_alone_until_a_restart_tries_again(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    failed = await fail(store, await lease(store, instance))
    assert (failed.phase, failed.last_error) == (Phase.FAILED, "refused")
    assert await store.instances.lease_due(10, MINUTE) == []
    again = await ask_restart(store, instance)
    assert (again.phase, again.restarts_asked, again.last_error) == (Phase.REPLACING, 1, None)
    assert await lease(store, instance) is not None


async def test_settings_changed_during_a_placement_lead_to_updating(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    held = await lease(store, instance)
    names = frozenset({Credential.MODEL_API_KEY})
    changed = await change(store, instance, settings=OPENAI, credential_names=names)
    assert (changed.phase, changed.revision, changed.settings, changed.credential_names) == (Phase.PLACING, 1, OPENAI, names)
    assert await store.instances.get(instance.id) == changed
    assert (await place(store, held)).phase is Phase.UPDATING
    assert (await place(store, await lease(store, instance), applied_revision=1)).phase is Phase.RUNNING


async def test_a_new_name_needs_no_work(store: Store) -> None:
    instance = await running(store)
    changed = await change(store, instance, name="Jeeves")
    assert (changed.name, changed.phase, changed.revision) == ("Jeeves", Phase.RUNNING, 0)
    assert await store.instances.lease_due(10, MINUTE) == []


async def test_a_running_instance_is_looked_at_again(store: Store) -> None:
    instance = await running(store)
    assert (await ask_update(store, instance)).phase is Phase.UPDATING
    assert (await place(store, await lease(store, instance))).phase is Phase.RUNNING


async def test_a_change_of_an_older_revision_changes_nothing(store: Store) -> None:
    instance = await running(store)
    with pytest.raises(RevisionMoved):
        await change(store, instance, name="x", expected_revision=7)
    assert await store.instances.get(instance.id) == instance
    assert EventName.INSTANCE_CHANGED not in await event_names(store, instance)


async def test_asking_for_deletion_twice_writes_one_event(store: Store) -> None:
    instance = await running(store)
    asked = [await ask_delete(store, instance.id, NOW + n) for n in range(2)]
    assert asked[0] == asked[1]
    assert (asked[0].desired, asked[0].phase) == (DesiredState.DELETED, Phase.DELETING)
    assert (await event_names(store, instance)).count(EventName.INSTANCE_DELETE_ASKED) == 1


async def test_deletion_makes_a_row_that_waits_due_at_once(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    await store.instances.reschedule(await lease(store, instance), 3600, "no machine")
    asked = await ask_delete(store, instance.id)
    assert (asked.attempts, asked.last_error) == (0, None)
    assert await lease(store, instance) is not None


async def test_deletion_breaks_a_lease_and_the_row_is_due_once_that_would_have_run_out(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "a")
    held = await lease(store, instance)
    await ask_delete(store, instance.id)
    assert await store.instances.renew([held], MINUTE) == frozenset()
    assert await store.instances.lease_due(10, MINUTE) == []


async def test_a_deleted_row_whose_lease_has_run_out_is_due_at_once(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "a")
    await store.instances.lease_due(10, -1.0)
    await ask_delete(store, instance.id)
    assert await lease(store, instance) is not None


async def test_a_placement_that_ends_after_deletion_was_asked_for_is_dropped(store: Store) -> None:
    instance = await running(store)
    await ask_delete(store, instance.id)
    assert (await place(store, await lease(store, instance))).phase is Phase.DELETING
    assert (await event_names(store, instance)).count(EventName.INSTANCE_RUNNING) == 1
    assert await lease(store, instance) is not None


async def test_a_torn_down_instance_keeps_its_volume_and_is_left_alone_until_purged(store: Store) -> None:
    instance = await deleted(store)
    assert (instance.phase, instance.machine_id) == (Phase.DELETED, None)
    assert await store.instances.volume(instance.id) == Volume(instance.id, VolumeState.MADE, image="2026.9.6")
    assert (instance.deleted_at, instance.purge_after) == (NOW, FOR_EVER)
    assert await store.instances.lease_due(10, MINUTE) == []
    assert instance.id in await store.instances.known_ids()


async def test_those_with_a_machine_are_listed(store: Store) -> None:
    await deleted(store, "gone")
    placed = await running(store, "b")
    assert [instance.id for instance in await store.instances.list_placed()] == [placed.id]


async def test_what_had_a_machine_keeps_something_until_it_is_purged(store: Store) -> None:
    waiting = await create(store, "waits")
    kept, gone = await running(store, "a"), await deleted(store, "b", LONG_AGO)
    assert await store.instances.kept_phases() == {kept.id: Phase.RUNNING, gone.id: Phase.DELETED}
    await purge(store, await lease(store, gone))
    assert await store.instances.kept_phases() == {kept.id: Phase.RUNNING}
    assert waiting.generation == 0


async def test_an_instance_due_for_purging_keeps_only_its_row(store: Store) -> None:
    instance = await deleted(store, purge_after=LONG_AGO)
    purged = await purge(store, await lease(store, instance))
    assert (purged.phase, purged.credential_names) == (Phase.PURGED, frozenset())
    assert (await store.instances.volume(instance.id)).state is VolumeState.PURGED
    assert await store.instances.get(instance.id) == purged
    assert (await store.instances.list_all(), await store.instances.known_ids()) == ([], frozenset())
    assert await store.instances.lease_due(10, MINUTE) == []


async def test_a_restored_instance_waits_for_a_machine_with_its_old_volume(store: Store) -> None:
    instance = await deleted(store)
    restored = await ask_restore(store, instance.id, ROOMY, NOW + 5)
    assert (restored.desired, restored.phase) == (DesiredState.RUNNING, Phase.PENDING)
    assert (restored.deleted_at, restored.purge_after, restored.applied_revision) == (None, None, None)
    await add_spares(store, "b")
    claimed = await store.instances.claim_machine(await lease(store, instance), NOW + 6)
    assert claimed is not None
    assert (claimed[0].id, claimed[0].generation, claimed[0].machine_id) == ("oc-a", 2, "mc-b")
    step = (await store.instances.steps(instance.id))[-1]
    assert (step.name, step.generation, step.attempt) == (StepName.MACHINE, 2, 1)
    assert (step.started_at, step.ended_at) == (NOW + 5, NOW + 6)


async def test_an_instance_whose_purge_has_begun_is_not_restored_though_the_callers_clock_is_behind(store: Store) -> None:
    instance = await deleted(store, purge_after=LONG_AGO)
    held = await lease(store, instance)
    with pytest.raises(StateConflict):
        await ask_restore(store, instance.id, ROOMY, LONG_AGO - 1)
    await store.instances.reschedule(held, MINUTE, None)
    with pytest.raises(StateConflict):
        await ask_restore(store, instance.id, ROOMY, LONG_AGO - 1)


async def test_a_restore_beyond_a_cap_is_refused(store: Store) -> None:
    instance = await deleted(store)
    await create(store, "other")
    with pytest.raises(LimitReached):
        await ask_restore(store, instance.id, Caps(9, 1))
    assert (await store.instances.get(instance.id)).phase is Phase.DELETED


async def test_losing_the_machine_ends_it_breaks_the_lease_and_waits_for_another(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    held = await lease(store, instance)
    assert (await lose(store, MachineId("mc-a"))).state is MachineState.TERMINATING
    lost = await store.instances.get(instance.id)
    assert (lost.phase, lost.machine_id) == (Phase.REPLACING, None)
    assert (await store.instances.volume(instance.id)).state is VolumeState.MADE
    assert (await event_names(store, instance))[-2:] == [EventName.MACHINE_CONDEMNED, EventName.INSTANCE_MACHINE_LOST]
    assert await store.instances.count_waiting() == {"": 1}
    with pytest.raises(LeaseLost):
        await place(store, held)


async def test_only_a_machine_where_the_volume_is_will_do(store: Store) -> None:
    instance = await create(store)
    here = partial(lifecycle.make_volume, zone="zone-1", image="v1")
    await store.instances.update(instance.id, here)
    await add_spares(store, "elsewhere")
    held = await lease(store, instance)
    assert await store.instances.claim_machine(held, NOW) is None
    assert await store.instances.count_waiting() == {"zone-1": 1}
    await store.machines.update(MachineId("mc-elsewhere"), partial(lifecycle.locate, address="127.0.0.1:9", zone="zone-1"))
    claimed = await store.instances.claim_machine(held, NOW)
    assert claimed is not None
    assert claimed[0].machine_id == "mc-elsewhere"


async def test_a_loss_and_a_deletion_at_once_end_in_the_deletion(store: Store, replica: Store) -> None:
    instance = await running(store)
    await asyncio.gather(ask_delete(store, instance.id), lose(replica, MachineId("mc-a")), ask_delete(replica, instance.id))
    after = await store.instances.get(instance.id)
    assert (after.desired, after.phase) == (DesiredState.DELETED, Phase.DELETING)
    assert (await store.machines.get(MachineId("mc-a"))).state is MachineState.TERMINATING


async def test_whoever_has_work_by_a_change_is_woken_once_it_is_committed(store: Store) -> None:
    instance = await running(store)
    waiting = asyncio.create_task(store.hints.wait(Topic.PLACEMENT, MINUTE))
    await asyncio.sleep(0)
    with pytest.raises(RevisionMoved):
        await change(store, instance, settings=OPENAI, expected_revision=9)
    await asyncio.sleep(0)
    assert not waiting.done()
    await change(store, instance, settings=OPENAI)
    assert await waiting


async def test_steps_are_listed_in_the_order_in_which_they_began(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    held = await lease(store, instance)
    begun = [Step(name, 1, 1, NOW + n) for n, name in enumerate((StepName.SECRET, StepName.TARGET, StepName.GATEWAY))]
    for step in begun:
        await store.instances.record_steps(held, [step])
    ended = Step(StepName.SECRET, 1, 1, NOW, NOW + 9, note="done")
    await store.instances.record_steps(held, [ended])
    assert await store.instances.steps(instance.id) == [ended, *begun[1:]]


async def test_waits_are_those_of_instances_that_found_no_spare(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    held = await lease(store, instance)
    for generation, (found, answered) in enumerate(((0.0, 1.0), (4.0, 12.5), (2.0, 9.0), (1.0, 8.0)), start=1):
        start, error = NOW + generation, "refused" if generation == 4 else None
        claim = Step(StepName.MACHINE, generation, 1, start, start + found)
        await store.instances.record_steps(held, [claim, Step(StepName.PROBE, generation, 1, start + found, start + answered, error)])
    assert await store.instances.recent_waits(9) == [9.0, 12.5]
    assert await store.instances.recent_waits(1) == [9.0]


async def test_instances_are_paged_newest_first_by_owner_and_phase(store: Store) -> None:
    for number in range(5):
        await create(store, f"p{number}", owner=OTHER if number == 3 else OWNER, now=NOW + number // 2)
    everybody = [instance.id for instance in await store.instances.list_page(10)]
    assert everybody == ["oc-p4", "oc-p2", "oc-p3", "oc-p0", "oc-p1"]
    pages, after = [], None
    while page := await store.instances.list_page(2, after=after):
        pages.append([instance.id for instance in page])
        after = page[-1].id
    assert pages == [everybody[:2], everybody[2:4], everybody[4:]]
    assert [instance.id for instance in await store.instances.list_page(10, owner_id=OTHER)] == ["oc-p3"]
    assert await store.instances.list_page(10, phase=Phase.RUNNING) == []
    assert await store.instances.list_page(10, after=InstanceId("oc-unknown")) == []


async def test_happenings_are_the_newest_of_instances_oldest_first(store: Store) -> None:
    instance = await create(store)
    wanted = {EventName.INSTANCE_CREATED, EventName.INSTANCE_CHANGED}
    await change(store, instance, settings=OPENAI)
    found = await store.instances.recent_happenings(wanted, 9)
    assert [(each, name) for each, name, _ in found] == [
        (instance.id, EventName.INSTANCE_CREATED),
        (instance.id, EventName.INSTANCE_CHANGED),
    ]
    assert await store.instances.recent_happenings(wanted, 1) == found[1:]
