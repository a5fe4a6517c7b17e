"""What a deployment costs: the source document's figures, today's, and what is counted of which rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_hosted.domain.cost import (
    SOURCE_DOCUMENT,
    Deployment,
    Estimate,
    billed,
    count_holdings,
    estimate,
    planned_deployment,
    planned_holdings,
    projection,
    total,
)
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, volume_of
from openclaw_hosted.domain.plans import ARM_ON_DEMAND, ARM_SPOT, CHANGES, SMALL_CONTROL_PLANE, SOURCE_COMPARISON, cheapest, compare
from openclaw_hosted.domain.prices import PRICES, Component, Kind

ZONE_USD = 0.50
"""Of a zone in Route 53, for a month."""
TABLE = Path(__file__).resolve().parents[2] / "docs" / "cost.md"


def by_component(found: Estimate) -> dict[Component, float]:
    return {line.component: round(line.usd, 2) for line in found.lines}


def machine(reserved: str, state: MachineState, instance_id: str | None = None, warmth: Warmth = Warmth.HOT) -> Machine:
    own = InstanceId(reserved)
    bound = None if instance_id is None else InstanceId(instance_id)
    return Machine(MachineId(f"m-{reserved}"), state, own, volume_of(own), "v1", warmth, 0.0, 0.0, instance_id=bound)


def counted(*machines: Machine, **kept: Phase) -> tuple[int, int, int, int, int]:
    found = count_holdings(machines, {InstanceId(name): phase for name, phase in kept.items()})
    return found.machines, found.volumes, found.secrets, found.routes, found.instances


def test_ten_users_and_two_spares_cost_what_the_source_document_says_where_its_assumptions_hold() -> None:
    found = total(SOURCE_DOCUMENT, users=10)
    assert by_component(found) == {
        Component.MACHINES: 52.56,
        Component.LOAD_BALANCERS: 22.00,
        Component.SECRETS: 4.50,
        Component.CLOUDWATCH: 3.00,
        Component.REPOSITORIES: 1.00,
    }
    assert found.per_user_usd is not None
    assert (round(found.total_usd), round(found.per_user_usd, 1)) == (83, 8.3)


def test_ten_users_and_two_spares_cost_more_than_twice_that_with_all_that_exists() -> None:
    found = projection(10, 2, Deployment())
    assert by_component(found) == {
        Component.MACHINES: 52.56,
        Component.ADDRESSES: 58.40,
        Component.LOAD_BALANCERS: 22.27,
        Component.VOLUMES: 17.28,
        Component.SECRETS: 6.10,
        Component.CONTROL_PLANE: 15.98,
        Component.DATABASE: 13.98,
        Component.CLOUDWATCH: 5.80,
        Component.QUEUES: 0.10,
        Component.REPOSITORIES: 1.00,
    }
    assert (round(found.total_usd, 2), round(found.per_user_usd or 0, 2)) == (193.47, 19.35)


def test_the_table_of_the_documentation_is_what_the_model_says() -> None:
    today, then = projection(10, 2, Deployment()), by_component(total(SOURCE_DOCUMENT, users=10))
    wanted = [f"| {line.component} | {_cell(then, line.component)} | {line.usd:.2f} | {line.detail} |" for line in today.lines]
    written = TABLE.read_text().splitlines()
    assert [line for line in wanted if line not in written] == []


def _cell(sums: Mapping[Component, float], component: Component) -> str:
    return f"{sums[component]:.2f}" if component in sums else ""


def test_the_projections_of_the_documentation_are_what_the_model_says() -> None:
    written = TABLE.read_text()
    for users in (10, 25, 50, 100, 200):
        found = projection(users, 2, Deployment())
        assert f"| {users} | {found.total_usd:.0f} | {found.per_user_usd:.2f} |" in written


def test_a_hot_spare_has_a_volume_a_secret_and_a_route_and_a_cold_one_only_its_volume() -> None:
    assert counted(machine("oc-a", MachineState.AVAILABLE)) == (1, 1, 1, 1, 0)
    assert counted(machine("oc-a", MachineState.AVAILABLE, warmth=Warmth.BOOTED)) == (1, 1, 0, 0, 0)


def test_an_instance_on_the_spare_that_was_made_for_it_is_counted_once() -> None:
    assert counted(machine("oca", MachineState.ASSIGNED, "oca"), oca=Phase.RUNNING) == (1, 1, 1, 1, 1)


def test_a_machine_that_serves_another_id_keeps_its_own_volume_and_secret() -> None:
    assert counted(machine("oca", MachineState.ASSIGNED, "ocb"), ocb=Phase.RUNNING) == (1, 2, 2, 1, 1)


def test_a_deleted_instance_keeps_volume_and_secret_for_undo_and_has_no_machine_and_no_route() -> None:
    assert counted(oca=Phase.DELETED) == (0, 1, 1, 0, 0)


def test_an_instance_between_two_machines_keeps_all_but_a_machine() -> None:
    assert counted(oca=Phase.REPLACING) == (0, 1, 1, 1, 1)


def test_a_machine_is_counted_until_it_is_seen_to_be_gone() -> None:
    assert counted(machine("oca", MachineState.TERMINATING))[0] == 1
    assert counted(machine("oca", MachineState.TERMINATED)) == (0, 0, 0, 0, 0)


def test_without_users_there_is_no_sum_for_each() -> None:
    assert projection(0, 2, Deployment()).per_user_usd is None


def test_every_kind_has_a_price_and_all_that_exists_is_priced() -> None:
    assert set(PRICES) == set(Kind)
    on_spot = billed(planned_holdings(1, 0), Deployment())
    on_demand = billed(planned_holdings(1, 0), Deployment(on_demand=True))
    assert set(on_spot) | set(on_demand) == set(Kind)


def test_more_users_than_a_load_balancer_is_planned_for_need_another_one_with_its_addresses() -> None:
    one, two = billed_for(78), billed_for(79)
    assert (one[Kind.LOAD_BALANCER], two[Kind.LOAD_BALANCER]) == (1, 2)
    assert two[Kind.ADDRESS] - one[Kind.ADDRESS] == 1 + 3


def billed_for(users: int) -> dict[Kind, float]:
    found = projection(users, 2, Deployment())
    balancers = next(line for line in found.lines if line.component is Component.LOAD_BALANCERS)
    addresses = next(line for line in found.lines if line.component is Component.ADDRESSES)
    first = {Kind.LOAD_BALANCER: balancers, Kind.ADDRESS: addresses}
    return {kind: float(line.detail.split(": ")[1].split(" ×")[0]) for kind, line in first.items()}


def test_machines_on_demand_cost_their_own_price() -> None:
    machines = projection(1, 0, Deployment(on_demand=True)).lines[0]
    assert (round(machines.usd, 2), machines.detail) == (15.18, "on demand: 1 × $0.0208 an hour")


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, None),
        ({"instance_type": "m7i.large"}, "Machines are m7i.large, at the price of t3.small: set SPOT_PRICE_PER_HOUR."),
        ({"instance_type": "m7i.large", "spot_price": 0.04}, None),
        (
            {"instance_type": "m7i.large", "on_demand": True},
            "Machines are m7i.large, at the price of t3.small: set ON_DEMAND_PRICE_PER_HOUR.",
        ),
    ],
)
def test_a_machine_at_another_machines_price_is_told(changes: dict[str, object], note: str | None) -> None:
    assert estimate(planned_holdings(1, 1), replace(Deployment(), **changes)).note == note  # type: ignore[arg-type]


def test_sqlite_costs_no_database_but_a_larger_disk() -> None:
    small = by_component(projection(1, 0, Deployment(postgres=False)))
    assert Component.DATABASE not in small
    assert small[Component.CONTROL_PLANE] == round(0.0208 * 730 + 14 * 0.08, 2)


def test_each_change_saves_and_what_terraform_makes_today_comes_first() -> None:
    plans = compare(10, 2, Deployment())
    assert [plan.is_possible for plan in plans] == sorted((plan.is_possible for plan in plans), reverse=True)
    assert all(plan.saves_usd > 0 for plan in plans[1:])
    assert plans[0].usd == projection(10, 2, Deployment()).total_usd
    assert (round(cheapest(plans).usd, 2), round(plans[-1].usd, 2)) == (74.07, 48.99)


def test_ten_users_cost_less_than_the_source_document_says_with_all_that_exists() -> None:
    arm = {"instance_type": "t4g.small", "spot_price": ARM_SPOT, "on_demand_price": ARM_ON_DEMAND}
    small = {"data_gib": 4, "root_gib": 8, "zones": 2, "machine_addresses": False, "postgres": False, "load_balancers": 0}
    plan = replace(Deployment(), **arm, **small, prices={Kind.CONTROL_PLANE_MACHINE: SMALL_CONTROL_PLANE})  # type: ignore[arg-type]
    found = projection(10, 1, plan)
    assert by_component(found) == {
        Component.MACHINES: 38.95,
        Component.ADDRESSES: 3.65,
        Component.VOLUMES: 10.56,
        Component.SECRETS: 5.30,
        Component.CONTROL_PLANE: 8.71,
        Component.CLOUDWATCH: 5.80,
        Component.QUEUES: 0.10,
        Component.REPOSITORIES: 1.00,
    }
    larger = replace(plan, prices={})
    sums = (found, projection(10, 1, larger), projection(10, 2, plan), projection(10, 1, replace(plan, machine_addresses=True)))
    written = TABLE.read_text()
    assert [f"{each.total_usd:.2f}" for each in sums if f"{each.total_usd:.2f}" not in written] == []
    assert cheapest(compare(10, 2, Deployment())).usd == pytest.approx(found.total_usd)
    with_points = estimate(replace(planned_holdings(10, 1), snapshot_gib=16.0), larger).total_usd
    assert f"{with_points + ZONE_USD:.2f}" in written
    assert with_points + ZONE_USD < SOURCE_COMPARISON[0].own_machines_usd


def test_without_a_load_balancer_nothing_of_one_is_billed_whatever_the_number_of_users_and_a_volume_stays() -> None:
    found = billed(planned_holdings(500, 2), planned_deployment(500, 2, Deployment(load_balancers=0)))
    assert (found[Kind.LOAD_BALANCER], found[Kind.CAPACITY_UNIT], found[Kind.ADDRESS]) == (0, 0, 1 + 502)
    assert (found[Kind.CONTROL_PLANE_GIB], found[Kind.DATABASE_INSTANCE]) == (14, 1)


def test_what_to_set_is_what_terraform_takes() -> None:
    variables = set(re.findall(r'^variable "(\w+)"', (TABLE.parents[1] / "terraform" / "variables.tf").read_text(), re.MULTILINE))
    named = {name for change in CHANGES if change.how for name in re.findall(r"(\w+) =", change.how)}
    assert named <= variables
    assert len(named) > 5


def test_the_comparison_of_the_documentation_is_what_the_model_says() -> None:
    written = TABLE.read_text().splitlines()
    wanted = [f"| {plan.name} | {plan.usd:.0f} | {plan.gives_up} | " for plan in compare(10, 2, Deployment())[1:]]
    assert [line for line in wanted if not any(row.startswith(line) for row in written)] == []
    rows = [f"| {row.users} | ${row.ecs_usd:.0f} | ${row.own_machines_usd:.0f} |" for row in SOURCE_COMPARISON]
    assert [line for line in rows if not any(row.startswith(line) for row in written)] == []
