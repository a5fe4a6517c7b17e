"""The pure core: every state against every event, the pool's plan, and what counts as good input."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.errors import IllegalTransition, InvalidInput
from openclaw_hosted.domain.gateway import (
    Channel,
    Credential,
    CredentialsChange,
    GatewaySettings,
    ModelProvider,
    check_credentials,
    check_settings,
    decode_change,
    encode_change,
)
from openclaw_hosted.domain.instance import TRANSITIONS as INSTANCE_TRANSITIONS
from openclaw_hosted.domain.instance import InstanceEvent, Phase, next_phase
from openclaw_hosted.domain.machine import TRANSITIONS as MACHINE_TRANSITIONS
from openclaw_hosted.domain.machine import Machine, MachineEvent, MachineFailure, MachineState, Warmth, next_state
from openclaw_hosted.domain.naming import InstanceId, MachineId, clean_display_name, is_instance_id, volume_of
from openclaw_hosted.domain.pool import Condemn, Launch, PoolPolicy, PoolStatus, PoolView, Shortage, backoff_seconds, plan_pool
from openclaw_hosted.domain.shards import Shards, shard_of

POLICY = PoolPolicy(spares=2, fleet_cap=5, image="new", ready_timeout_seconds=100, max_launches_at_once=2)


def machine(number: int, state: MachineState, *, image: str = "new", created_at: float = 0.0) -> Machine:
    reserved = InstanceId(f"oc-{number}")
    return Machine(MachineId(f"m-{number}"), state, reserved, volume_of(reserved), image, Warmth.HOT, created_at, created_at)


@pytest.mark.parametrize("state", MachineState)
@pytest.mark.parametrize("event", MachineEvent)
def test_a_machine_takes_the_transitions_of_its_table_and_no_others(state: MachineState, event: MachineEvent) -> None:
    if (state, event) in MACHINE_TRANSITIONS:
        assert next_state(state, event) is MACHINE_TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition):
            next_state(state, event)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", InstanceEvent)
def test_an_instance_takes_the_transitions_of_its_table_and_no_others(phase: Phase, event: InstanceEvent) -> None:
    if (phase, event) in INSTANCE_TRANSITIONS:
        assert next_phase(phase, event) is INSTANCE_TRANSITIONS[phase, event]
    else:
        with pytest.raises(IllegalTransition):
            next_phase(phase, event)


def test_an_assigned_machine_never_goes_back_to_the_pool() -> None:
    after = {target for (state, _), target in MACHINE_TRANSITIONS.items() if state is MachineState.ASSIGNED}
    assert after == {MachineState.TERMINATING}


def test_every_phase_can_be_deleted_but_those_that_are() -> None:
    deletable = {phase for phase, event in INSTANCE_TRANSITIONS if event is InstanceEvent.DELETE_ASKED}
    assert deletable == set(Phase) - {Phase.DELETED, Phase.PURGED}


def test_an_empty_pool_launches_as_many_as_may_start_at_once() -> None:
    plan = plan_pool(PoolView(0, [], waiting={"": 3}), POLICY)
    assert plan.actions == (Launch(2),)
    assert plan.status is PoolStatus.FILLING


ONE_COMPUTER = replace(POLICY, fleet_cap=20, starts_compete=True, warmth=Warmth.HOT)
"""Two cores, two spares wanted."""


def test_on_one_computer_nothing_is_launched_for_a_user_whose_spare_is_there() -> None:
    spare = replace(in_zone(1, MachineState.AVAILABLE, "local"), warmth=Warmth.HOT)
    view = PoolView(0, [spare], {"local": 1}, homes=frozenset({"local"}), leaving=frozenset({"local"}))
    assert plan_pool(view, replace(ONE_COMPUTER, spares=1)).actions == ()


def test_on_one_computer_machines_that_users_wait_for_are_launched_first_and_start_openclaw_once() -> None:
    assert plan_pool(PoolView(0, [], {"": 1}), ONE_COMPUTER).actions == (Launch(1, is_awaited=True),)
    on_its_way = [machine(1, MachineState.INITIALIZING)]
    assert plan_pool(PoolView(0, on_its_way, {"": 1}), ONE_COMPUTER).actions == ()
    assert plan_pool(PoolView(0, on_its_way, {"": 2}), ONE_COMPUTER).actions == (Launch(1, is_awaited=True),)
    assert plan_pool(PoolView(0, on_its_way), ONE_COMPUTER).actions == (Launch(1),)
    assert plan_pool(PoolView(0, [], {"": 1}), POLICY).actions == (Launch(2),)


@pytest.mark.parametrize(("initializing", "placing", "launched"), [(0, 0, 2), (1, 0, 1), (0, 1, 1), (2, 0, 0), (1, 1, 0), (0, 9, 0)])
def test_on_one_computer_as_many_start_at_once_as_there_are_cores(initializing: int, placing: int, launched: int) -> None:
    machines = [machine(number, MachineState.INITIALIZING) for number in range(initializing)]
    plan = plan_pool(PoolView(0, machines, {"": 5}, placing=placing), ONE_COMPUTER)
    assert sum(action.count for action in plan.actions if isinstance(action, Launch)) == launched
    assert plan.look_again_seconds == 1.0


def test_a_machine_for_a_user_who_waits_no_more_becomes_no_spare() -> None:
    cold = replace(machine(1, MachineState.AVAILABLE), warmth=Warmth.BOOTED)
    spares = [machine(number, MachineState.AVAILABLE) for number in (2, 3)]
    assert plan_pool(PoolView(0, [cold, *spares], {"": 1}), ONE_COMPUTER).actions == ()
    assert plan_pool(PoolView(0, [cold, *spares]), ONE_COMPUTER).actions == (Condemn(cold.id, MachineFailure.SURPLUS),)
    assert plan_pool(PoolView(0, [cold, spares[0]]), replace(ONE_COMPUTER, warmth=Warmth.BOOTED)).actions == ()


def test_a_full_pool_does_nothing() -> None:
    plan = plan_pool(PoolView(0, [machine(1, MachineState.AVAILABLE), machine(2, MachineState.AVAILABLE)]), POLICY)
    assert (plan.actions, plan.status) == ((), PoolStatus.READY)


def test_spares_that_are_late_or_carry_an_old_image_are_condemned() -> None:
    view = PoolView(200, [machine(1, MachineState.INITIALIZING), machine(2, MachineState.AVAILABLE, image="old", created_at=150)])
    condemned = [action for action in plan_pool(view, POLICY).actions if isinstance(action, Condemn)]
    assert {(action.machine_id, action.failure) for action in condemned} == {
        ("m-1", MachineFailure.NOT_READY_IN_TIME),
        ("m-2", MachineFailure.OLD_IMAGE),
    }


def test_assigned_machines_are_left_alone_whatever_they_carry() -> None:
    view = PoolView(1e9, [machine(number, MachineState.ASSIGNED, image="old") for number in range(5)])
    plan = plan_pool(view, POLICY)
    assert (plan.actions, plan.status) == ((), PoolStatus.AT_CAP)


def test_failures_slow_the_pool_down_and_in_the_end_stop_it() -> None:
    waits = [backoff_seconds(POLICY, failures) for failures in range(12)]
    assert waits == sorted(waits)
    assert waits[0] == 0
    assert waits[-1] == POLICY.backoff_cap_seconds
    failing = plan_pool(PoolView(1000, [], failures_in_row=3, last_failure_at=999), POLICY)
    assert (failing.actions, failing.status) == ((), PoolStatus.FAILING)
    stopped = plan_pool(PoolView(1e6, [], failures_in_row=POLICY.failures_until_stop, last_failure_at=0), POLICY)
    assert (stopped.actions, stopped.status) == ((), PoolStatus.STOPPED)


def test_a_shortage_never_stops_the_pool_and_closes_its_zone_only_for_a_while() -> None:
    shortage = Shortage("a", times=40, last_at=1000, error="no Spot capacity")
    for now, closed in ((1001, True), (1000 + POLICY.backoff_cap_seconds, False)):
        plan = plan_pool(PoolView(now, [], {"a": 1, "b": 1}, shortages={"a": shortage}), replace(POLICY, max_launches_at_once=9))
        zones = {action.zone for action in plan.actions if isinstance(action, Launch)}
        assert zones == ({"b", ""} if closed else {"a", "b", ""})
        assert plan.status is PoolStatus.NO_CAPACITY
        assert plan.look_again_seconds <= POLICY.backoff_cap_seconds


def test_where_no_machine_can_be_had_anywhere_only_volumes_in_other_zones_are_tried_for() -> None:
    everywhere = Shortage("", times=3, last_at=10, error="quota")
    assert plan_pool(PoolView(11, [], shortages={"": everywhere}), POLICY).actions == ()
    assert plan_pool(PoolView(11, [], {"b": 1}, shortages={"": everywhere}), POLICY).actions == (Launch(1, "b"),)


def test_a_paused_pool_launches_nothing() -> None:
    assert plan_pool(PoolView(0, [], paused=True), POLICY).status is PoolStatus.PAUSED


@given(
    states=st.lists(st.sampled_from(sorted(set(MachineState) - {MachineState.TERMINATED})), max_size=12),
    waiting=st.integers(0, 10),
    spares=st.integers(0, 6),
    cap=st.integers(0, 12),
)
def test_no_plan_exceeds_the_cap_or_touches_an_assigned_machine(states: list[MachineState], waiting: int, spares: int, cap: int) -> None:
    machines = [machine(number, state) for number, state in enumerate(states)]
    policy = PoolPolicy(spares=spares, fleet_cap=cap, image="new")
    plan = plan_pool(PoolView(0, machines, {"": waiting}), policy)
    launches = sum(action.count for action in plan.actions if isinstance(action, Launch))
    assert launches == 0 or len(machines) + launches <= cap
    condemned = {action.machine_id for action in plan.actions if isinstance(action, Condemn)}
    assert condemned.isdisjoint(each.id for each in machines if each.state is MachineState.ASSIGNED)
    available = sum(each.state is MachineState.AVAILABLE for each in machines)
    kept = sum(each.state is MachineState.AVAILABLE and each.id not in condemned for each in machines)
    assert kept >= min(available, spares + waiting)


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "x" * 500, "two\nlines", "nul\x00"])
def test_a_bad_name_is_refused_with_the_field_named(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        clean_display_name(name)
    assert [problem.field for problem in caught.value.problems] == ["name"]


@pytest.mark.parametrize("value", ["", "a\nb", "a b", "x" * 513, "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_without_being_repeated(value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_credentials({Credential.MODEL_API_KEY: value})
    assert caught.value.problems[0].field == "credentials.modelApiKey"
    assert not value or value not in str(caught.value)


def test_the_gateway_token_is_not_the_users_to_set() -> None:
    with pytest.raises(InvalidInput):
        check_credentials({Credential.GATEWAY_TOKEN: "mine"})


def test_all_that_is_wrong_with_settings_is_said_at_once() -> None:
    settings = GatewaySettings(ModelProvider.COMPATIBLE, None, "ftp://x", frozenset({Channel.SLACK}))
    with pytest.raises(InvalidInput) as caught:
        check_settings(settings, frozenset())
    assert {problem.field for problem in caught.value.problems} == {
        "settings.model",
        "settings.base_url",
        "credentials.slackBotToken",
        "credentials.slackAppToken",
    }


def test_a_change_of_credentials_survives_being_sealed() -> None:
    change = CredentialsChange({Credential.MODEL_API_KEY: "k"}, frozenset({Credential.TELEGRAM_BOT_TOKEN}))
    assert decode_change(encode_change(change)) == change
    assert change.apply_to({Credential.TELEGRAM_BOT_TOKEN: "t", Credential.GATEWAY_TOKEN: "g"}) == {
        Credential.GATEWAY_TOKEN: "g",
        Credential.MODEL_API_KEY: "k",
    }
    assert "key-value" not in repr(CredentialsChange({Credential.MODEL_API_KEY: "key-value"}))


@pytest.mark.parametrize("text", ["oc-7f3k2m9q", "oc-22222222"])
def test_an_instance_id_is_known_by_its_form(text: str) -> None:
    assert is_instance_id(text)


@pytest.mark.parametrize("text", ["", "oc-", "oc-7f3k2m9", "oc-7f3k2m9q/", "../oc-7f3k2m9q", "OC-7F3K2M9Q", "oc-7f3k2m9l", "oc-7f3k2m9q\n"])
def test_anything_else_is_no_instance_id(text: str) -> None:
    assert not is_instance_id(text)


def in_zone(number: int, state: MachineState, zone: str) -> Machine:
    return replace(machine(number, state), zone=zone, image=POLICY.image)


def test_a_volume_that_waits_in_a_zone_gets_a_machine_there_though_there_are_spares_elsewhere() -> None:
    machines = [in_zone(number, MachineState.AVAILABLE, "b") for number in range(POLICY.spares)]
    plan = plan_pool(PoolView(0, machines, {"a": 1}), POLICY)
    assert plan.actions == (Launch(1, "a"),)


def test_at_the_cap_a_spare_elsewhere_makes_room_for_a_volume_that_waits() -> None:
    machines = [in_zone(number, MachineState.AVAILABLE, "b") for number in range(3)]
    plan = plan_pool(PoolView(0, machines, {"a": 1}), replace(POLICY, fleet_cap=3, spares=3))
    assert [type(action) for action in plan.actions] == [Condemn]


FULL_WITH_SPARES_ELSEWHERE = PoolView(10, [in_zone(number, MachineState.AVAILABLE, "b") for number in range(3)], {"a": 1})
FULL = replace(POLICY, fleet_cap=3, spares=3)


@pytest.mark.parametrize(
    ("view", "policy"),
    [
        (replace(FULL_WITH_SPARES_ELSEWHERE, shortages={"a": Shortage("a", 1, 9.0, "none left")}), FULL),
        (replace(FULL_WITH_SPARES_ELSEWHERE, waiting={}, leaving=frozenset({"a"}), shortages={"a": Shortage("a", 1, 9.0, "")}), FULL),
        (replace(FULL_WITH_SPARES_ELSEWHERE, failures_in_row=2, last_failure_at=9.0), FULL),
        (replace(FULL_WITH_SPARES_ELSEWHERE, waiting={"": 2}, homes=frozenset({"a", "b"})), FULL),
        (replace(FULL_WITH_SPARES_ELSEWHERE, placing=2), replace(FULL, starts_compete=True, warmth=Warmth.BOOTED)),
    ],
    ids=["its zone has none", "a zone that is left has none", "launches fail", "no volume waits", "too many start already"],
)
def test_at_the_cap_no_spare_goes_for_a_launch_that_can_not_happen(view: PoolView, policy: PoolPolicy) -> None:
    assert plan_pool(view, policy).actions == ()


def test_at_the_cap_a_machine_that_ends_already_makes_the_room() -> None:
    ending = in_zone(7, MachineState.TERMINATING, "b")
    spares = [in_zone(number, MachineState.AVAILABLE, "b") for number in range(2)]
    view = PoolView(10, [*spares, ending], {"a": 1})
    assert plan_pool(view, FULL).actions == ()
    assert len(plan_pool(replace(view, waiting={"a": 2}), FULL).actions) == 1


def test_at_the_cap_a_shortage_in_one_zone_does_not_keep_another_from_its_machine() -> None:
    view = replace(FULL_WITH_SPARES_ELSEWHERE, waiting={"a": 1, "c": 1}, shortages={"a": Shortage("a", 1, 9.0, "none left")})
    assert [type(action) for action in plan_pool(view, FULL).actions] == [Condemn]


def test_spares_beyond_those_wanted_are_let_go_the_youngest_first() -> None:
    machines = [replace(in_zone(number, MachineState.AVAILABLE, "a"), created_at=number) for number in range(POLICY.spares + 2)]
    assert [action.machine_id for action in plan_pool(PoolView(0, machines), POLICY).actions if isinstance(action, Condemn)] == [
        machines[-1].id,
        machines[-2].id,
    ]


def test_a_machine_that_a_volume_waits_for_is_not_let_go_for_those_elsewhere() -> None:
    elsewhere = [in_zone(number, MachineState.AVAILABLE, "b") for number in range(POLICY.spares + 1)]
    awaited = replace(in_zone(9, MachineState.INITIALIZING, "a"), created_at=9)
    plan = plan_pool(PoolView(10, [*elsewhere, awaited], {"a": 1}), replace(POLICY, fleet_cap=20))
    assert [action.machine_id for action in plan.actions if isinstance(action, Condemn)] == [elsewhere[0].id]


def test_a_spare_is_kept_in_each_zone_that_holds_a_volume_where_there_are_as_many_spares() -> None:
    policy = replace(POLICY, spares=2)
    here = [in_zone(number, MachineState.AVAILABLE, "b") for number in range(2)]
    view = PoolView(10, here, homes=frozenset({"a", "b"}))
    assert plan_pool(view, policy).actions == (Launch(1, "a"),)
    coming = in_zone(8, MachineState.INITIALIZING, "a")
    assert plan_pool(replace(view, machines=[*here, coming]), policy).actions == (), "none goes before the other is there"
    there = in_zone(8, MachineState.AVAILABLE, "a")
    (gone,) = plan_pool(replace(view, machines=[*here, there]), policy).actions
    assert isinstance(gone, Condemn)
    assert gone.machine_id in {machine.id for machine in here}
    assert plan_pool(replace(view, homes=frozenset({"a", "b", "c"})), policy).actions == (), "there are too few for all"
    assert plan_pool(view, replace(policy, spread=False)).actions == ()
    anywhere = in_zone(8, MachineState.INITIALIZING, "")
    assert Launch(1, "a") not in plan_pool(replace(view, machines=[here[0], anywhere]), policy).actions, "it may come up there"


def test_a_zone_without_capacity_gives_its_spare_to_the_others() -> None:
    policy, shortage = replace(POLICY, spares=2), Shortage("a", 3, 9.0, "none left")
    view = PoolView(10, [in_zone(0, MachineState.AVAILABLE, "b")], homes=frozenset({"a", "b"}), shortages={"a": shortage})
    assert plan_pool(view, policy).actions == (Launch(1, ""),)


def test_where_an_instance_is_to_leave_its_machine_another_is_made_ready_whatever_n_is() -> None:
    policy = replace(POLICY, spares=0)
    view = PoolView(10, (), leaving=frozenset({"a"}))
    assert plan_pool(view, policy).actions == (Launch(1, "a"),)
    ready = in_zone(1, MachineState.AVAILABLE, "a")
    assert plan_pool(replace(view, machines=[ready]), policy).actions == ()
    assert plan_pool(PoolView(10, [ready]), policy).actions == (Condemn(ready.id, MachineFailure.SURPLUS),)
    elsewhere = [in_zone(number, MachineState.AVAILABLE, "b") for number in range(2)]
    at_cap = plan_pool(PoolView(10, elsewhere, leaving=frozenset({"a"})), replace(POLICY, spares=2, fleet_cap=2))
    assert [action.machine_id for action in at_cap.actions if isinstance(action, Condemn)] == [elsewhere[0].id]


def test_an_id_names_its_shard_and_the_emptiest_shard_comes_next() -> None:
    ids = SystemIds()
    used = [ids.instance_id(0), ids.instance_id(0), ids.instance_id(2)]
    assert [shard_of(each) for each in used] == [0, 0, 2]
    assert Shards(3).allot(used, 3) == [1, 1, 2]


def test_full_shards_take_no_more() -> None:
    ids = SystemIds()
    assert Shards(2, capacity=2).allot([ids.instance_id(0), ids.instance_id(0), ids.instance_id(1)], 3) == [1]
