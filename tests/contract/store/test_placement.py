"""`InstanceStore` under a lease, and what users ask for meanwhile."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.errors import IllegalTransition, LeaseLost, LimitReached, RevisionMoved, StateConflict
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import DesiredState, InstanceEvent, Phase, Step, StepName
from openclaw_hosted.domain.machine import MachineFailure
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.store import Store

from .make import FOR_EVER, LONG_AGO, MINUTE, NOW, ROOMY, add_spares, an_event, create, deleted, event_names, lease, running

OPENAI = GatewaySettings(ModelProvider.OPENAI)


async def test_a_placed_instance_runs_and_has_no_more_work(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    await store.instances.put_off(await lease(store, instance), 0, "slow")
    note = an_event(EventName.INSTANCE_RUNNING, instance_id=instance.id)
    before = await store.instances.steps(instance.id)
    last = Step(StepName.PROBE, 1, 2, NOW + 8, NOW + 9)
    settled = await store.instances.settle(
        await lease(store, instance), InstanceEvent.PLACED, NOW + 9, note=note, applied_revision=0, restarts_done=0, steps=[last]
    )
    assert await store.instances.steps(instance.id) == [*before, last]
    assert (settled.phase, settled.phase_changed_at, settled.applied_revision) == (Phase.RUNNING, NOW + 9, 0)
    assert (settled.attempts, settled.last_error) == (0, None)
    assert (await event_names(store, instance))[-1] is EventName.INSTANCE_RUNNING
    assert await store.instances.lease_due(10, MINUTE) == []


async def test_a_settled_lease_writes_nothing_more(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    held = await lease(store, instance)
    await store.instances.settle(held, InstanceEvent.GAVE_UP, NOW, error="refused")
    step = Step(StepName.SECRET, 1, 1, NOW)
    for attempt in (
        store.instances.settle(held, InstanceEvent.PLACED, NOW, note=an_event(instance_id=instance.id)),
        store.instances.put_off(held, 0, None),
        store.instances.renew(held, MINUTE),
        store.instances.record_steps(held, [step]),
        store.instances.unbind_machine(held),
        store.instances.forget_sealed(held, 0),
    ):
        with pytest.raises(LeaseLost):
            await attempt
    assert await event_names(store, instance) == [EventName.INSTANCE_CREATED]
    assert await store.instances.steps(instance.id) == []


async def test_an_illegal_transition_keeps_the_lease_and_the_row(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    held = await lease(store, instance)
    with pytest.raises(IllegalTransition):
        await store.instances.settle(held, InstanceEvent.PURGED, NOW)
    assert (await store.instances.get(instance.id)).phase is Phase.PENDING
    await store.instances.renew(held, MINUTE)


async def test_giving_up_shows_the_reason_and_a_restart_tries_again(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    failed = await store.instances.settle(await lease(store, instance), InstanceEvent.GAVE_UP, NOW, error="refused")
    assert (failed.phase, failed.last_error) == (Phase.FAILED, "refused")
    assert await store.instances.lease_due(10, MINUTE) == []
    again = await store.instances.ask_restart(instance.id, NOW, an_event(EventName.INSTANCE_RESTART_ASKED))
    assert (again.phase, again.restarts_asked, again.last_error) == (Phase.REPLACING, 1, None)
    assert await lease(store, instance) is not None


async def test_settings_changed_during_a_placement_lead_to_updating(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    held = await lease(store, instance)
    names = frozenset({Credential.MODEL_API_KEY})
    changed = await store.instances.change(instance.id, NOW, an_event(), settings=OPENAI, credential_names=names)
    assert (changed.phase, changed.revision, changed.settings) == (Phase.PLACING, 1, OPENAI)
    settled = await store.instances.settle(held, InstanceEvent.PLACED, NOW, applied_revision=0, restarts_done=0)
    assert settled.phase is Phase.UPDATING
    done = await store.instances.settle(await lease(store, instance), InstanceEvent.PLACED, NOW, applied_revision=1)
    assert done.phase is Phase.RUNNING


async def test_changing_settings_of_a_running_instance_updates_it(store: Store) -> None:
    instance = await running(store)
    changed = await store.instances.change(instance.id, NOW + 1, an_event(EventName.INSTANCE_CHANGED), settings=OPENAI)
    assert (changed.phase, changed.revision, changed.phase_changed_at) == (Phase.UPDATING, 1, NOW + 1)


async def test_a_new_name_needs_no_work(store: Store) -> None:
    instance = await running(store)
    changed = await store.instances.change(instance.id, NOW, an_event(), name="Jeeves")
    assert (changed.name, changed.phase, changed.revision) == ("Jeeves", Phase.RUNNING, 0)


async def test_a_running_instance_is_looked_at_again_and_no_other(store: Store) -> None:
    instance = await running(store)
    assert await store.instances.ask_update(instance.id, NOW, an_event(EventName.INSTANCE_UPDATE_NEEDED))
    assert (await store.instances.get(instance.id)).phase is Phase.UPDATING
    assert not await store.instances.ask_update(instance.id, NOW, an_event(EventName.INSTANCE_UPDATE_NEEDED))
    done = await store.instances.settle(await lease(store, instance), InstanceEvent.PLACED, NOW)
    assert (done.phase, done.revision, done.restarts_asked) == (Phase.RUNNING, instance.revision, 0)


async def test_a_change_of_an_older_revision_changes_nothing(store: Store) -> None:
    instance = await running(store)
    with pytest.raises(RevisionMoved):
        await store.instances.change(instance.id, NOW, an_event(instance_id=instance.id), name="x", expected_revision=7)
    assert await store.instances.get(instance.id) == instance
    assert EventName.MACHINE_CONDEMNED not in await event_names(store, instance)


async def test_an_instance_being_deleted_takes_no_wishes(store: Store) -> None:
    instance = await running(store)
    gone = await store.instances.ask_delete(instance.id, NOW, an_event(EventName.INSTANCE_DELETE_ASKED, instance_id=instance.id))
    assert (gone.desired, gone.phase) == (DesiredState.DELETED, Phase.DELETING)
    for wish in (
        store.instances.change(instance.id, NOW, an_event(), name="x"),
        store.instances.ask_restart(instance.id, NOW, an_event()),
        store.instances.ask_restore(instance.id, ROOMY, NOW, an_event()),
    ):
        with pytest.raises(StateConflict):
            await wish


async def test_asking_for_deletion_twice_writes_one_event(store: Store) -> None:
    instance = await running(store)
    asked = [
        await store.instances.ask_delete(instance.id, NOW + n, an_event(EventName.INSTANCE_DELETE_ASKED, instance_id=instance.id))
        for n in range(2)
    ]
    assert asked[0] == asked[1]
    assert (await event_names(store, instance)).count(EventName.INSTANCE_DELETE_ASKED) == 1


async def test_deletion_makes_a_row_that_waits_due_at_once(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "late")
    await store.instances.put_off(await lease(store, instance), 3600, "no machine")
    asked = await store.instances.ask_delete(instance.id, NOW, an_event())
    assert (asked.attempts, asked.last_error) == (0, None)
    assert await lease(store, instance) is not None


async def test_deletion_breaks_a_lease_and_the_row_is_due_once_that_would_have_run_out(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "a")
    held = await lease(store, instance)
    await store.instances.ask_delete(instance.id, NOW, an_event())
    with pytest.raises(LeaseLost):
        await store.instances.renew(held, MINUTE)
    assert await store.instances.lease_due(10, MINUTE) == []


async def test_a_deleted_row_whose_lease_has_run_out_is_due_at_once(store: Store) -> None:
    instance = await create(store)
    await add_spares(store, "a")
    await store.instances.lease_due(10, -1.0)
    await store.instances.ask_delete(instance.id, NOW, an_event())
    assert await lease(store, instance) is not None


async def test_an_event_that_comes_after_deletion_was_asked_for_is_dropped(store: Store) -> None:
    instance = await running(store)
    await store.instances.ask_delete(instance.id, NOW, an_event())
    note = an_event(EventName.INSTANCE_RUNNING, instance_id=instance.id)
    settled = await store.instances.settle(await lease(store, instance), InstanceEvent.PLACED, NOW, note=note)
    assert settled.phase is Phase.DELETING
    assert (await event_names(store, instance)).count(EventName.INSTANCE_RUNNING) == 0
    assert await lease(store, instance) is not None


async def test_a_torn_down_instance_keeps_its_volume_and_is_left_alone_until_purged(store: Store) -> None:
    instance = await deleted(store)
    assert (instance.phase, instance.machine_id, instance.volume_id) == (Phase.DELETED, None, "vol-a")
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
    await store.instances.settle(await lease(store, gone), InstanceEvent.PURGED, NOW)
    assert await store.instances.kept_phases() == {kept.id: Phase.RUNNING}
    assert waiting.generation == 0


async def test_an_instance_due_for_purging_keeps_only_its_row(store: Store) -> None:
    instance = await deleted(store, purge_after=LONG_AGO)
    purged = await store.instances.settle(await lease(store, instance), InstanceEvent.PURGED, NOW)
    assert (purged.phase, purged.volume_id, purged.credential_names) == (Phase.PURGED, None, frozenset())
    assert await store.instances.get(instance.id) == purged
    assert (await store.instances.list_all(), await store.instances.known_ids()) == ([], frozenset())
    assert await store.instances.lease_due(10, MINUTE) == []


async def test_a_restored_instance_waits_for_a_machine_with_its_old_volume(store: Store) -> None:
    instance = await deleted(store)
    restored = await store.instances.ask_restore(instance.id, ROOMY, NOW + 5, an_event(EventName.INSTANCE_RESTORED))
    assert (restored.desired, restored.phase, restored.volume_id) == (DesiredState.RUNNING, Phase.PENDING, "vol-a")
    assert (restored.deleted_at, restored.purge_after, restored.applied_revision) == (None, None, None)
    await add_spares(store, "b")
    claimed = await store.instances.claim_machine(await lease(store, instance), NOW, an_event())
    assert claimed is not None
    assert (claimed[0].id, claimed[0].generation, claimed[0].volume_id) == ("oc-a", 2, "vol-a")


async def test_an_instance_whose_purge_has_begun_is_not_restored_though_the_callers_clock_is_behind(store: Store) -> None:
    instance = await deleted(store, purge_after=LONG_AGO)
    held = await lease(store, instance)
    with pytest.raises(StateConflict):
        await store.instances.ask_restore(instance.id, ROOMY, LONG_AGO - 1, an_event())
    await store.instances.put_off(held, MINUTE, None)
    with pytest.raises(StateConflict):
        await store.instances.ask_restore(instance.id, ROOMY, LONG_AGO - 1, an_event())


async def test_a_restore_beyond_a_cap_is_refused(store: Store) -> None:
    instance = await deleted(store)
    await create(store, "other")
    with pytest.raises(LimitReached):
        await store.instances.ask_restore(instance.id, Caps(9, 1), NOW, an_event())
    assert (await store.instances.get(instance.id)).phase is Phase.DELETED


async def test_a_lost_machine_of_another_generation_is_nothing_to_the_instance(store: Store) -> None:
    instance = await running(store)
    assert not await store.instances.machine_lost(instance.id, MachineId("mc-other"), NOW, an_event())
    assert (await store.instances.get(instance.id)).phase is Phase.RUNNING


async def test_an_instance_being_deleted_loses_no_machine(store: Store) -> None:
    instance = await running(store)
    assert instance.machine_id is not None
    await store.instances.ask_delete(instance.id, NOW, an_event())
    assert not await store.instances.machine_lost(instance.id, instance.machine_id, NOW, an_event())
    assert (await store.instances.get(instance.id)).machine_id == instance.machine_id


async def test_losing_the_machine_breaks_the_lease_and_waits_for_another(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    held = await lease(store, instance)
    await store.machines.condemn(MachineId("mc-a"), MachineFailure.DIED, NOW, an_event())
    assert await store.instances.machine_lost(instance.id, MachineId("mc-a"), NOW, an_event(EventName.INSTANCE_MACHINE_LOST))
    lost = await store.instances.get(instance.id)
    assert (lost.phase, lost.machine_id, lost.volume_id) == (Phase.REPLACING, None, "vol-a")
    assert await store.instances.count_waiting() == {"": 1}
    with pytest.raises(LeaseLost):
        await store.instances.settle(held, InstanceEvent.PLACED, NOW)


async def test_unbinding_keeps_the_volume_and_the_lease(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    held = await lease(store, instance)
    unbound = await store.instances.unbind_machine(held)
    assert (unbound.machine_id, unbound.volume_id) == (None, "vol-a")
    await store.instances.renew(held, MINUTE)


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
