"""What becomes of each thing that is found when the database is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.adoption import (
    AdoptionPlan,
    Inventory,
    SeenMachine,
    SeenRoute,
    SeenSecret,
    SeenVolume,
    not_known,
    plan_adoption,
)
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential
from openclaw_hosted.domain.instance import DesiredState, Phase
from openclaw_hosted.domain.machine import MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, volume_of
from openclaw_hosted.domain.record import InstanceRecord, decode_record, encode_record
from openclaw_hosted.domain.volume import VolumeState

ADA = UserId("us-ada")
ONE, OTHER = InstanceId("oc-22222222"), InstanceId("oc-33333333")
NOW = 1_800_000_000.0
RECORD = InstanceRecord(ADA, "ada@example.com", "Mine", DEFAULT_SETTINGS, 1, 4, 1_700_000_000.0)
MACHINE = SeenMachine(MachineId("mc-one"), "i-1", ONE, address="10.0.0.1:8080", zone="a", status="assigned", instance_id=ONE, owner_id=ADA)
VOLUME = SeenVolume(volume_of(ONE), ONE, MACHINE.id, "a")
ROUTE = SeenRoute(ONE, MACHINE.id, ADA, 1)
SECRET = SeenSecret(ONE, 3, frozenset({Credential.GATEWAY_TOKEN, Credential.MODEL_API_KEY}), RECORD, ADA)
WHOLE = Inventory([MACHINE], [VOLUME], [ROUTE], [SECRET], {MACHINE.id})
SPARE = SeenMachine(MachineId("mc-spare"), "i-2", OTHER, status="available", claimed=False)


def rows_of(plan: AdoptionPlan) -> lifecycle.Changed:
    (found,) = plan.instances
    return lifecycle.adopt_instance(found, now=NOW, warmth=Warmth.HOT, retention_seconds=100.0)


def test_what_agrees_runs_on_with_all_that_was_recorded() -> None:
    changed = rows_of(plan_adoption(WHOLE))
    instance, machine, volume = changed.instance, changed.machine, changed.volume
    assert instance is not None
    assert machine is not None
    assert volume is not None
    assert (instance.phase, instance.name, instance.owner_id, instance.generation) == (Phase.RUNNING, "Mine", ADA, 1)
    assert (instance.revision, instance.applied_revision, instance.is_filed) == (4, 4, True)
    assert instance.credential_names == {Credential.MODEL_API_KEY}
    assert (machine.state, machine.instance_id, machine.generation, machine.provider_ref) == (MachineState.ASSIGNED, ONE, 1, "i-1")
    assert (volume.state, volume.zone) == (VolumeState.MADE, "a")


@pytest.mark.parametrize("lacking", ["machines", "volumes", "routes", "secrets"])
def test_an_instance_is_found_by_what_is_left_of_it_and_placed_where_they_do_not_agree(lacking: str) -> None:
    changed = rows_of(plan_adoption(replace(WHOLE, **{lacking: []})))
    assert changed.instance is not None
    assert changed.instance.owner_id == ADA
    expected = {"machines": Phase.REPLACING, "volumes": Phase.PLACING, "routes": Phase.PLACING, "secrets": Phase.RUNNING}
    assert changed.instance.phase is expected[lacking]
    assert changed.volume is not None
    assert changed.volume.state is VolumeState.MADE, "an empty one is never made in place of one that is missing"


@pytest.mark.parametrize("status", ["available", "initializing", None])
def test_a_machine_is_a_spare_only_if_nobody_was_let_in(status: str | None) -> None:
    def spares(machine: SeenMachine) -> list[MachineId]:
        return [each.id for each in plan_adoption(Inventory([machine])).spares]

    machine = replace(SPARE, status=status)
    assert spares(machine) == [machine.id]
    assert spares(replace(machine, claimed=True)) == []
    assert spares(replace(machine, claimed=None)) == ([] if status == "available" else [machine.id])


def test_what_does_not_tell_is_held_back_with_all_that_it_has() -> None:
    doubtful = replace(SPARE, claimed=None)
    found = Inventory(
        [doubtful], [SeenVolume(volume_of(OTHER), OTHER, doubtful.id)], [SeenRoute(OTHER, doubtful.id, None)], [SeenSecret(OTHER)],
        {doubtful.id},
    )  # fmt: skip
    plan = plan_adoption(found)
    assert (plan.instances, plan.spares) == ((), ())
    assert set(plan.held_back) == {
        "machine i-2", f"target of {doubtful.id}", f"secret {OTHER}", f"route {OTHER}", f"volume {volume_of(OTHER)}",
    }  # fmt: skip


def test_a_machine_that_somebody_was_let_into_and_nobody_owns_gets_an_account_of_its_own() -> None:
    plan = plan_adoption(Inventory([replace(SPARE, claimed=True)]))
    (found,) = plan.instances
    assert (found.id, found.owner_id, found.owner_is_known) == (OTHER, "us-of-33333333", False)
    assert lifecycle.adopt_owner(found, now=NOW).email == "us-of-33333333@unknown.invalid"
    assert any(line.startswith(f"{OTHER}: whose it is") for line in not_known(plan))


@pytest.mark.parametrize("newer", [True, False])
def test_of_two_machines_for_one_instance_that_with_the_volume_wins_then_that_of_the_route(newer: bool) -> None:
    rival = replace(MACHINE, id=MachineId("mc-rival"), provider_ref="i-9", reserved_instance_id=OTHER, launched_at=9.0 if newer else 0.0)
    for volume, route, winner in (
        (VOLUME, replace(ROUTE, machine_id=rival.id), MACHINE),
        (replace(VOLUME, attached_to=None), replace(ROUTE, machine_id=rival.id), rival),
        (replace(VOLUME, attached_to=None), ROUTE, MACHINE),
    ):
        plan = plan_adoption(Inventory([MACHINE, rival], [volume], [route], [SECRET]))
        (found,) = plan.instances
        assert found.machine is winner
        (loser,) = {MACHINE.id: MACHINE, rival.id: rival}.keys() - {winner.id}
        assert list(plan.held_back) == [f"machine {'i-9' if loser == rival.id else 'i-1'}"]


def test_a_machine_that_shuts_down_has_a_row_with_which_nothing_that_it_served_is_purged() -> None:
    for ending in (replace(MACHINE, is_ending=True), replace(SPARE, is_ending=True, claimed=None)):
        plan = plan_adoption(Inventory([ending]))
        ((machine, served),) = plan.ending.items()
        row = lifecycle.adopt_ending(machine, served, now=NOW, warmth=Warmth.HOT).machine
        assert row is not None
        assert (row.state, row.instance_id) == (MachineState.TERMINATING, ending.reserved_instance_id)


def test_a_deleted_instance_is_kept_for_undo() -> None:
    changed = rows_of(plan_adoption(Inventory(volumes=[replace(VOLUME, attached_to=None)], secrets=[replace(SECRET, retired=True)])))
    assert changed.instance is not None
    assert (changed.instance.phase, changed.instance.desired) == (Phase.DELETED, DesiredState.DELETED)
    assert (changed.instance.deleted_at, changed.instance.purge_after) == (NOW, NOW + 100)


def test_what_is_left_of_a_spare_that_is_gone_gets_no_row() -> None:
    left = Inventory(
        volumes=[SeenVolume(volume_of(OTHER), OTHER, None)], secrets=[SeenSecret(OTHER)], routes=[SeenRoute(OTHER, SPARE.id, None)]
    )
    assert plan_adoption(left) == AdoptionPlan()


def test_a_record_is_read_as_it_was_written_and_anything_else_is_none() -> None:
    assert decode_record(encode_record(RECORD)) == RECORD
    others: list[object] = [
        None,
        "text",
        [],
        {},
        {**encode_record(RECORD), "generation": "many"},
        {**encode_record(RECORD), "settings": None},
    ]
    assert [decode_record(other) for other in others] == [None] * len(others)
