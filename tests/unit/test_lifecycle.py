"""The rules of a life: what follows what, for each phase and state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from openclaw_hosted.domain import instance as instances
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import IllegalTransition, RevisionMoved, StateConflict
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import DesiredState, Instance, InstanceEvent, Phase
from openclaw_hosted.domain.lifecycle import Changed, Topic, Work
from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId
from openclaw_hosted.domain.volume import Volume, VolumeState
from tests.support.actors import acting_as

THEN, NOW = 10.0, 20.0
OWNER = UserId("us-ada")
OPENAI = GatewaySettings(ModelProvider.OPENAI)
WORKED_ON = (Phase.PLACING, Phase.UPDATING, Phase.REPLACING)


def an_instance(phase: Phase = Phase.RUNNING, **about: object) -> Instance:
    """One that has machine `mc-a` in its first generation."""
    made = Instance(
        InstanceId("oc-a"), OWNER, "Mine", DesiredState.RUNNING, phase, THEN, THEN,
        machine_id=MachineId("mc-a"), generation=1, attempts=2, last_error="slow",
    )  # fmt: skip
    return replace(made, **about)  # type: ignore[arg-type]


def a_machine(state: MachineState = MachineState.ASSIGNED, **about: object) -> Machine:
    made = Machine(
        MachineId("mc-a"), state, InstanceId("oc-a"), VolumeId("vol-a"), "v1", Warmth.HOT, THEN, THEN,
        instance_id=InstanceId("oc-a") if state is MachineState.ASSIGNED else None, generation=1, zone="zone-1",
    )  # fmt: skip
    return replace(made, **about)  # type: ignore[arg-type]


def the_instance(changed: Changed) -> Instance:
    assert changed.instance is not None
    return changed.instance


def the_machine(changed: Changed) -> Machine:
    assert changed.machine is not None
    return changed.machine


def names(changed: Changed) -> list[EventName]:
    return [event.name for event in changed.events]


ACTOR = acting_as(OWNER)
PLACED = partial(lifecycle.place, now=NOW, applied_revision=0, restarts_done=0)


def create(machine: Machine | None, settings: GatewaySettings = DEFAULT_SETTINGS, sealed: bytes | None = None) -> Changed:
    names = frozenset({Credential.MODEL_API_KEY}) if sealed else frozenset()
    return lifecycle.create(
        InstanceId("oc-a"), machine, NOW, actor=ACTOR, owner_id=OWNER, name="Mine", settings=settings, credential_names=names, sealed=sealed
    )


def test_a_new_instance_has_the_machine_that_was_claimed_for_it() -> None:
    made = create(a_machine())
    instance = the_instance(made)
    assert (instance.phase, instance.machine_id, instance.generation) == (Phase.PLACING, "mc-a", 1)
    assert (instance.revision, instance.sealed_revision) == (0, None)
    assert names(made) == [EventName.INSTANCE_CREATED, EventName.MACHINE_CLAIMED]


def test_a_new_instance_without_a_machine_waits_for_one() -> None:
    made = create(None, OPENAI, b"sealed")
    instance = the_instance(made)
    assert (instance.phase, instance.machine_id, instance.generation) == (Phase.PENDING, None, 0)
    assert (instance.revision, instance.sealed_revision, made.sealed) == (1, 1, b"sealed")
    assert names(made) == [EventName.INSTANCE_CREATED]


@pytest.mark.parametrize(("before", "after"), [(Phase.PENDING, Phase.PLACING), (Phase.REPLACING, Phase.REPLACING)])
def test_a_claim_raises_the_generation_and_is_nothing_to_the_volume(before: Phase, after: Phase) -> None:
    waiting = an_instance(before, machine_id=None, applied_revision=4)
    claimed = lifecycle.claim(waiting, a_machine(id=MachineId("mc-b"), volume_id=VolumeId("vol-b")), NOW)
    bound = the_instance(claimed)
    assert (bound.phase, bound.machine_id, bound.generation, bound.applied_revision) == (after, "mc-b", 2, None)
    assert (claimed.instance_work, claimed.volume) == (Work.KEPT, None)


@pytest.mark.parametrize("phase", WORKED_ON)
def test_a_placed_instance_runs_with_a_clean_slate(phase: Phase) -> None:
    placed = PLACED(an_instance(phase))
    instance = the_instance(placed)
    assert (instance.phase, instance.phase_changed_at, instance.attempts, instance.last_error) == (Phase.RUNNING, NOW, 0, None)
    assert (names(placed), placed.instance_work) == ([EventName.INSTANCE_RUNNING], Work.FREE)


def test_what_is_left_to_be_written_about_an_instance_that_runs_is_written_next() -> None:
    placed = PLACED(an_instance(Phase.PLACING, sealed_revision=0), filed=False)
    instance = the_instance(placed)
    assert (instance.phase, instance.is_filed, Topic.FILING in placed.wakes) == (Phase.RUNNING, False, True)
    assert Topic.FILING not in PLACED(an_instance(Phase.PLACING)).wakes
    filed = lifecycle.file(replace(instance, attempts=3, last_error="slow"), revision=0)
    assert (the_instance(filed).is_filed, the_instance(filed).sealed_revision, filed.instance_work) == (True, None, Work.FREE)
    assert (the_instance(filed).attempts, the_instance(filed).last_error) == (0, None)


@pytest.mark.parametrize("revision", [None, 1])
def test_credentials_that_came_while_others_were_put_away_stay_sealed(revision: int | None) -> None:
    instance = an_instance(Phase.UPDATING, revision=2, sealed_revision=2)
    assert the_instance(lifecycle.file(instance, revision=revision)).sealed_revision == 2


@pytest.mark.parametrize("asked", [{"revision": 1}, {"restarts_asked": 1}])
@pytest.mark.parametrize("phase", WORKED_ON)
def test_what_was_asked_for_meanwhile_comes_next(phase: Phase, asked: dict[str, int]) -> None:
    instance = the_instance(PLACED(an_instance(phase, **asked)))
    assert (instance.phase, instance.applied_revision, instance.restarts_done) == (Phase.UPDATING, 0, 0)
    assert instance.phase_changed_at == (THEN if phase is Phase.UPDATING else NOW)


@pytest.mark.parametrize("ends", [PLACED, partial(lifecycle.fail, now=NOW, error="refused")])
def test_deletion_wins_over_a_placement_that_ends(ends: Callable[[Instance], Changed]) -> None:
    deleting = an_instance(Phase.DELETING, desired=DesiredState.DELETED)
    ended = ends(deleting)
    assert (ended.instance, ended.events, ended.instance_work) == (deleting, (), Work.FREE)


def test_a_failed_instance_keeps_its_machine_and_says_why() -> None:
    failed = lifecycle.fail(an_instance(Phase.PLACING), now=NOW, error="x" * 400)
    instance = the_instance(failed)
    assert (instance.phase, instance.machine_id, instance.last_error) == (Phase.FAILED, "mc-a", "x" * 400)
    assert failed.events[0].detail == {"error": "x" * 300}


@pytest.mark.parametrize(
    ("machine", "volume"),
    [
        (a_machine(), Volume(InstanceId("oc-a"), VolumeState.MADE, "zone-1", "v1")),
        (a_machine(warmth=Warmth.BOOTED), Volume(InstanceId("oc-a"))),
        (a_machine(reserved_instance_id=InstanceId("oc-b")), Volume(InstanceId("oc-a"))),
        (None, Volume(InstanceId("oc-a"))),
    ],
)
def test_the_volume_was_made_before_only_on_a_hot_spare_of_the_same_name(machine: Machine | None, volume: Volume) -> None:
    assert create(machine).volume == volume


def test_an_empty_volume_is_made_once() -> None:
    made = lifecycle.make_volume(an_instance(Phase.PLACING), zone="zone-2", image="v2").volume
    assert made == Volume(InstanceId("oc-a"), VolumeState.MADE, "zone-2", "v2")
    assert [Volume(InstanceId("oc-a"), state).may_be_made for state in VolumeState] == [
        state is VolumeState.WANTED for state in VolumeState
    ]


def test_a_torn_down_instance_keeps_its_volume_until_it_is_purged() -> None:
    deleting = an_instance(Phase.DELETING, desired=DesiredState.DELETED, sealed_revision=3)
    down = lifecycle.take_down(deleting, now=NOW, purge_after=99.0)
    instance = the_instance(down)
    assert (instance.phase, instance.machine_id, down.volume) == (Phase.DELETED, None, None)
    assert (instance.deleted_at, instance.purge_after, instance.sealed_revision) == (NOW, 99.0, 3)
    done = lifecycle.purge(instance, now=NOW)
    purged = the_instance(done)
    assert (purged.phase, purged.credential_names, purged.sealed_revision) == (Phase.PURGED, frozenset(), None)
    assert done.volume == Volume(InstanceId("oc-a"), VolumeState.PURGED)


@pytest.mark.parametrize(("waiting", "kept"), [(2, None), (3, 3), (None, None)])
def test_credentials_that_came_after_those_in_the_vault_are_kept(waiting: int | None, kept: int | None) -> None:
    instance = an_instance(sealed_revision=waiting)
    assert (lifecycle.hand_over(instance, revision=2).instance or instance).sealed_revision == kept


@pytest.mark.parametrize("phase", [phase for phase in Phase if (phase, InstanceEvent.CHANGED) in instances.TRANSITIONS])
def test_a_change_of_settings_raises_the_revision_and_is_due(phase: Phase) -> None:
    changed = lifecycle.change(an_instance(phase), actor=ACTOR, now=NOW, settings=OPENAI, sealed=b"sealed")
    instance = the_instance(changed)
    assert (instance.phase, instance.revision, instance.sealed_revision) == (instances.TRANSITIONS[phase, InstanceEvent.CHANGED], 1, 1)
    due = Work.KEPT if phase is Phase.FAILED else Work.DUE
    assert (instance.settings, instance.attempts, changed.sealed, changed.instance_work) == (OPENAI, 0, b"sealed", due)


def test_a_new_name_is_no_work() -> None:
    changed = lifecycle.change(an_instance(), actor=ACTOR, now=NOW, name="Jeeves")
    assert (the_instance(changed).name, the_instance(changed).phase, changed.instance_work) == ("Jeeves", Phase.RUNNING, Work.KEPT)


def test_a_change_of_an_older_revision_is_refused() -> None:
    with pytest.raises(RevisionMoved):
        lifecycle.change(an_instance(), actor=ACTOR, now=NOW, name="x", expected_revision=7)


@pytest.mark.parametrize("phase", [Phase.DELETING, Phase.DELETED, Phase.PURGED])
def test_what_is_deleted_takes_no_wishes(phase: Phase) -> None:
    gone = an_instance(phase, desired=DesiredState.DELETED)
    for wish in (partial(lifecycle.change, actor=ACTOR, now=NOW, name="x"), partial(lifecycle.ask_restart, actor=ACTOR, now=NOW)):
        with pytest.raises(StateConflict):
            wish(gone)
    assert lifecycle.ask_delete(gone, actor=ACTOR, now=NOW) == Changed()


@pytest.mark.parametrize(("phase", "after"), [(Phase.FAILED, Phase.REPLACING), (Phase.RUNNING, Phase.UPDATING)])
def test_a_restart_is_counted_and_tries_a_failed_one_again(phase: Phase, after: Phase) -> None:
    asked = the_instance(lifecycle.ask_restart(an_instance(phase), actor=ACTOR, now=NOW))
    assert (asked.phase, asked.restarts_asked, asked.last_error) == (after, 1, None)


@pytest.mark.parametrize("phase", list(Phase))
def test_only_a_running_instance_is_brought_up_to_date(phase: Phase) -> None:
    asked = lifecycle.ask_update(an_instance(phase), now=NOW, reason="its address changed")
    if phase is Phase.RUNNING:
        assert (the_instance(asked).phase, asked.events[0].detail) == (Phase.UPDATING, {"reason": "its address changed"})
    else:
        assert asked == Changed()


@pytest.mark.parametrize("phase", sorted(instances.LIVE_PHASES - {Phase.DELETING}))
def test_deletion_can_be_asked_for_in_each_phase_and_breaks_a_lease(phase: Phase) -> None:
    asked = lifecycle.ask_delete(an_instance(phase), actor=ACTOR, now=NOW)
    instance = the_instance(asked)
    assert (instance.desired, instance.phase, instance.machine_id) == (DesiredState.DELETED, Phase.DELETING, "mc-a")
    assert (instance.attempts, asked.instance_work) == (0, Work.BROKEN)


def test_a_deleted_instance_comes_back_with_its_volume() -> None:
    gone = an_instance(Phase.DELETED, desired=DesiredState.DELETED, machine_id=None, deleted_at=THEN, purge_after=99.0, applied_revision=4)
    back = the_instance(lifecycle.ask_restore(gone, actor=ACTOR, now=NOW))
    assert (back.desired, back.phase) == (DesiredState.RUNNING, Phase.PENDING)
    assert (back.deleted_at, back.purge_after, back.applied_revision) == (None, None, None)


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"phase": Phase.DELETING}, "“Deleting”"),
        ({"phase": Phase.PURGED}, "What it kept was destroyed"),
        ({"phase": Phase.DELETED, "purge_after": NOW}, "time for undo"),
        ({"phase": Phase.DELETED, "purge_after": 99.0, "is_leased": True}, "time for undo"),
        ({"phase": Phase.DELETED, "purge_after": 99.0, "next_attempt_at": 5.0}, "time for undo"),
    ],
)
def test_what_may_be_destroyed_does_not_come_back(about: dict[str, object], why: str) -> None:
    with pytest.raises(StateConflict, match=why):
        lifecycle.ask_restore(an_instance(**about, desired=DesiredState.DELETED), actor=ACTOR, now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", [Phase.PLACING, Phase.RUNNING, Phase.UPDATING, Phase.REPLACING])
def test_whoever_loses_its_machine_waits_for_another_in_the_same_transaction(phase: Phase) -> None:
    lost = lifecycle.lose(a_machine(), an_instance(phase), now=NOW)
    assert (the_machine(lost).state, the_machine(lost).failure) == (MachineState.TERMINATING, MachineFailure.DIED)
    instance = the_instance(lost)
    assert (instance.phase, instance.machine_id, lost.volume) == (Phase.REPLACING, None, None)
    assert instance.attempts == (0 if phase is Phase.RUNNING else 3)
    assert names(lost) == [EventName.MACHINE_CONDEMNED, EventName.INSTANCE_MACHINE_LOST]
    assert (lost.machine_work, lost.instance_work, lost.wakes) == (Work.BROKEN, Work.FREE, frozenset(Topic))


@pytest.mark.parametrize(
    "instance",
    [
        None,
        an_instance(machine_id=MachineId("mc-b")),
        an_instance(Phase.FAILED),
        an_instance(Phase.DELETING, desired=DesiredState.DELETED),
    ],
)
def test_an_instance_that_does_not_wait_for_another_loses_nothing(instance: Instance | None) -> None:
    lost = lifecycle.lose(a_machine(), instance, now=NOW)
    assert (lost.instance, names(lost)) == (None, [EventName.MACHINE_CONDEMNED])


@pytest.mark.parametrize("state", [MachineState.TERMINATING, MachineState.TERMINATED])
def test_an_instance_learns_that_its_machine_had_ended_before(state: MachineState) -> None:
    lost = lifecycle.lose(a_machine(state), an_instance(), now=NOW)
    assert (lost.machine, names(lost)) == (None, [EventName.INSTANCE_MACHINE_LOST])
    assert the_instance(lost).phase is Phase.REPLACING


@pytest.mark.parametrize("state", sorted(LIVE_STATES - {MachineState.TERMINATING}))
def test_a_machine_is_condemned_once_and_a_users_not_as_a_spare(state: MachineState) -> None:
    condemned = lifecycle.condemn(a_machine(state, attempts=3), now=NOW, failure=MachineFailure.SURPLUS)
    machine = the_machine(condemned)
    assert (machine.state, machine.failure, machine.attempts) == (MachineState.TERMINATING, MachineFailure.SURPLUS, 0)
    assert condemned.machine_work is Work.BROKEN
    assert lifecycle.condemn(machine, now=NOW, failure=MachineFailure.DIED) == Changed()
    if state is MachineState.ASSIGNED:
        with pytest.raises(StateConflict, match="delete the instance instead"):
            lifecycle.condemn(a_machine(state), now=NOW, failure=MachineFailure.SURPLUS, unassigned_only=True)


def test_a_machine_is_gone_once_and_not_before_it_is_terminating() -> None:
    gone = lifecycle.see_gone(a_machine(MachineState.TERMINATING, failure=MachineFailure.DIED), now=NOW)
    assert the_machine(gone).state is MachineState.TERMINATED
    assert gone.events[0].detail == {"reason": "died"}
    assert lifecycle.see_gone(the_machine(gone), now=NOW) == Changed()
    with pytest.raises(IllegalTransition):
        lifecycle.see_gone(a_machine(MachineState.AVAILABLE), now=NOW)


def test_a_machine_becomes_a_spare_once() -> None:
    booted = a_machine(MachineState.INITIALIZING, attempts=2, last_error="slow")
    machine = the_machine(lifecycle.become_ready(booted, now=NOW, address="127.0.0.1:9", zone="zone-1"))
    assert (machine.state, machine.attempts, machine.last_error) == (MachineState.AVAILABLE, 0, None)
    assert (machine.address, machine.zone) == ("127.0.0.1:9", "zone-1")
    with pytest.raises(IllegalTransition):
        lifecycle.become_ready(machine, now=NOW, address="127.0.0.1:9", zone="zone-1")
