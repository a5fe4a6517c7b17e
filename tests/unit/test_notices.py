"""What a notice makes of a machine and of the instance on it, for each kind, state and phase."""

from __future__ import annotations

from functools import partial

import pytest

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import DesiredState, Phase
from openclaw_hosted.domain.lifecycle import Changed, Topic, Work
from openclaw_hosted.domain.machine import MachineFailure, MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.notice import INTERRUPTION_SECONDS, PATIENCE_SECONDS, PATIENT_KINDS, Notice, NoticeKind
from tests.support.actors import acting_as
from tests.unit.test_lifecycle import NOW, OWNER, THEN, a_machine, an_instance, names, the_instance, the_machine

LEAVES_AT = NOW + 120
INTERRUPTED = partial(lifecycle.notice, now=NOW, kind=NoticeKind.INTERRUPTION, leaves_at=LEAVES_AT)
EVERY_KIND = pytest.mark.parametrize("kind", NoticeKind)


def noticed(kind: NoticeKind) -> partial[Changed]:
    return partial(lifecycle.notice, now=NOW, kind=kind, leaves_at=LEAVES_AT)


def test_an_interruption_leaves_two_minutes_and_other_kinds_more() -> None:
    assert Notice(NoticeKind.INTERRUPTION, "i-1", NOW).leaves_at == NOW + INTERRUPTION_SECONDS
    assert {Notice(kind, "i-1", NOW).leaves_at for kind in PATIENT_KINDS} == {NOW + PATIENCE_SECONDS}


@pytest.mark.parametrize("phase", [Phase.PLACING, Phase.RUNNING, Phase.UPDATING, Phase.REPLACING])
def test_an_instance_leaves_an_interrupted_machine_which_goes_on_to_serve_it(phase: Phase) -> None:
    changed = INTERRUPTED(a_machine(), an_instance(phase))
    instance, machine = the_instance(changed), the_machine(changed)
    assert (instance.phase, instance.machine_id) == (Phase.REPLACING, None)
    assert (machine.state, machine.failure, machine.notice, machine.leaves_at) == (
        MachineState.TERMINATING, MachineFailure.NOTICED, NoticeKind.INTERRUPTION, LEAVES_AT,
    )  # fmt: skip
    assert names(changed) == [EventName.MACHINE_NOTICED, EventName.MACHINE_CONDEMNED, EventName.INSTANCE_MOVING]
    assert (changed.wakes, changed.instance_work) == (frozenset(Topic), Work.BROKEN)


@pytest.mark.parametrize("kind", PATIENT_KINDS)
def test_a_notice_that_leaves_time_is_remembered_until_another_machine_is_ready(kind: NoticeKind) -> None:
    changed = noticed(kind)(a_machine(), an_instance(), actor=acting_as(OWNER))
    assert changed.instance is None
    assert (the_machine(changed).state, the_machine(changed).notice) == (MachineState.ASSIGNED, kind)
    assert names(changed) == [EventName.MACHINE_NOTICED]
    assert changed.events[0].actor == acting_as(OWNER)
    assert {Topic.MOVES, Topic.POOL} <= changed.wakes


@EVERY_KIND
@pytest.mark.parametrize("state", [MachineState.INITIALIZING, MachineState.AVAILABLE])
def test_a_noticed_spare_is_replaced(kind: NoticeKind, state: MachineState) -> None:
    changed = noticed(kind)(a_machine(state), None)
    machine = the_machine(changed)
    assert (machine.state, machine.notice, machine.leaves_at) == (MachineState.TERMINATING, kind, None)
    assert Topic.POOL in changed.wakes


@EVERY_KIND
@pytest.mark.parametrize("state", [MachineState.TERMINATING, MachineState.TERMINATED])
def test_a_notice_about_a_machine_that_ends_anyhow_changes_nothing(kind: NoticeKind, state: MachineState) -> None:
    assert noticed(kind)(a_machine(state, instance_id=InstanceId("oc-a")), an_instance(Phase.REPLACING, machine_id=None)) == Changed()


@EVERY_KIND
def test_the_same_notice_twice_changes_nothing(kind: NoticeKind) -> None:
    once = noticed(kind)(a_machine(), an_instance())
    assert noticed(kind)(the_machine(once), once.instance or an_instance()) == Changed()


@EVERY_KIND
def test_deletion_wins(kind: NoticeKind) -> None:
    assert noticed(kind)(a_machine(), an_instance(Phase.DELETING, desired=DesiredState.DELETED)) == Changed()


@EVERY_KIND
def test_the_machine_of_an_instance_that_was_given_up_is_not_waited_for(kind: NoticeKind) -> None:
    changed = noticed(kind)(a_machine(), an_instance(Phase.FAILED))
    assert changed.instance is None
    assert (the_machine(changed).state, the_machine(changed).leaves_at) == (MachineState.TERMINATING, None)


def test_a_machine_that_ended_without_notice_is_lost() -> None:
    changed = noticed(NoticeKind.ENDED)(a_machine(), an_instance())
    assert the_instance(changed).phase is Phase.REPLACING
    assert (the_machine(changed).failure, the_machine(changed).leaves_at) == (MachineFailure.DIED, None)


def test_a_stronger_notice_outweighs_a_weaker_one_and_not_the_other_way_round() -> None:
    for index, kind in enumerate(PATIENT_KINDS):
        for other_index, other in enumerate(PATIENT_KINDS):
            changed = noticed(other)(a_machine(notice=kind), an_instance())
            assert (changed == Changed()) is (other_index <= index)
    assert the_instance(INTERRUPTED(a_machine(notice=NoticeKind.DRAIN), an_instance())).phase is Phase.REPLACING


def test_an_interruption_hastens_a_move_without_hurry_and_never_delays_one() -> None:
    leaving = a_machine(MachineState.TERMINATING, leaves_at=LEAVES_AT + 600, notice=NoticeKind.DRAIN)
    hastened = INTERRUPTED(leaving, an_instance(Phase.REPLACING, machine_id=None))
    assert (the_machine(hastened).leaves_at, the_machine(hastened).notice) == (LEAVES_AT, NoticeKind.INTERRUPTION)
    assert INTERRUPTED(the_machine(hastened), None) == Changed()
    assert noticed(NoticeKind.REBALANCE)(leaving, None) == Changed()


def test_a_machine_that_is_let_go_ends_now() -> None:
    left = lifecycle.let_go(a_machine(MachineState.TERMINATING, leaves_at=LEAVES_AT))
    assert (the_machine(left).leaves_at, left.machine_work, left.wakes) == (None, Work.DUE, frozenset({Topic.MACHINES}))
    assert lifecycle.let_go(the_machine(left)) == Changed()


def test_another_instances_row_is_not_touched() -> None:
    elsewhere = an_instance(machine_id=MachineId("mc-b"), phase_changed_at=THEN)
    changed = INTERRUPTED(a_machine(), elsewhere)
    assert changed.instance is None
    assert the_machine(changed).leaves_at is None
