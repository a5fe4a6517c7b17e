"""Users come from an older system on ECS to machines of their own on AWS, all in one account, until only the new system costs money.

Tasks are numbers here, and gateways stand-ins; states travel in parcels. Real OpenClaws: tests/integration/migration/test_old_openclaws.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_hosted.adapters.ecs.legacy import EcsLegacy
from openclaw_hosted.adapters.ecs.mapping import parse_mapping
from openclaw_hosted.adapters.local.states.parcels import ParcelStateCopies
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.migration import MigrationState
from openclaw_hosted.domain.old_things import ThingKind
from openclaw_hosted.migration.flow import Flow, FlowOptions
from openclaw_hosted.migration.new_side import NewSide
from openclaw_hosted.migration.service import MigrationService, Removal
from openclaw_hosted.ports.legacy import Legacy
from openclaw_hosted.ports.router import Target
from openclaw_hosted.services import AccountService, InstanceService
from tests.integration.aws.running import BUCKET, with_bucket
from tests.integration.aws.world import CAPS, CLOCK, AwsWorld, ControlPlane
from tests.integration.migration.ecs.old_system import OldAccount
from tests.integration.migration.world import Keys
from tests.support.aws import sdk_on
from tests.support.passwords import QUICK_HASHER

pytestmark = pytest.mark.slow
USERS = ("user-1", "user-2")
SPARES = 1
OLD_KINDS = ("group_machines", "tasks", "nat_gateways", "file_systems")


def an_old_system(world: AwsWorld, efs: Path) -> OldAccount:
    """Two users, each with a file."""
    account = OldAccount(world.lab.cloud, world.lab.site.client)
    account.build()
    for user in USERS:
        account.add_user(user)
        state = efs / "users" / user / "workspace"
        state.mkdir(parents=True)
        (state / "notes.md").write_text(f"of {user}")
    return account


def migration(plane: ControlPlane, legacy: Legacy, account: OldAccount, folder: Path) -> MigrationService:
    """As the command has it."""
    store, provided, ids = plane.store, plane.provided, SystemIds()
    assert provided.carrier is not None
    instances = InstanceService(
        store.instances, store.machines, provided.gateways, provided.router, provided.sealer, store.hints, CLOCK, ids, CAPS,
        plane.options.shards,
    )  # fmt: skip
    accounts = AccountService(store.accounts, store.platform, provided.gate, CLOCK, ids, QUICK_HASHER)
    new = NewSide(accounts, instances, store.instances, store.machines, provided.gateways, provided.router, Keys(), CLOCK, ids, 20)
    copies = ParcelStateCopies(folder / "work", {account.file_system: folder / "efs"}, provided.carrier(BUCKET))
    flow = Flow(legacy, copies, new, store.migrations, CLOCK, FlowOptions("2026.9.6", soak_seconds=0.0))
    return MigrationService(flow, store.platform, Deployment(), SPARES, "2026.9.6", rollback_seconds=0.0)


async def check_served(world: AwsWorld, plane: ControlPlane, service: MigrationService) -> None:
    """Each user has a gateway that answers at its address, on a machine with the file."""
    for row in await service.status():
        assert row.instance_id is not None
        instance = await plane.store.instances.get(row.instance_id)
        assert instance.machine_id is not None
        machine = await plane.store.machines.get(instance.machine_id)
        assert machine.provider_ref is not None
        assert (await plane.provided.gateways.status(seat_of(machine))).ready
        await plane.provided.router.probe(instance.id, Target(machine.id, machine.provider_ref, machine.address or ""))
        (volume,) = world.lab.machines.volumes.attached_to(machine.provider_ref)
        assert (volume.folder / "state" / "workspace" / "notes.md").read_text() == f"of {row.user}"


async def test_once_the_old_system_is_decommissioned_only_the_new_one_costs_money(world: AwsWorld, tmp_path: Path) -> None:
    with_bucket(world)
    cloud, elbv2 = world.lab.cloud, world.lab.site.client("elbv2")
    furnished = cloud.inventory()
    account = an_old_system(world, tmp_path / "efs")
    before, removed = cloud.inventory(), list[Removal]()
    assert {kind: before[kind] for kind in ("tasks", "nat_gateways", "file_systems")} == {"tasks": 2, "nat_gateways": 1, "file_systems": 1}
    world.spares = SPARES
    async with world.control_plane() as plane, sdk_on(world.lab) as sdk:
        service = migration(plane, EcsLegacy(sdk, parse_mapping({"listeners": [account.listener]})), account, tmp_path)
        rows = await service.run(lambda _: None)
        assert [(row.user, row.state, row.error) for row in rows] == [(user, MigrationState.DONE, None) for user in USERS]
        await plane.until_full()
        await plane.until_clean()
        full = cloud.inventory()
        await service.decommission(await service.belongings(), removed.append)
        assert {removal.thing.kind for removal in removed} == set(ThingKind)
        assert [removal for removal in removed if removal.problem] == []
        assert await service.belongings() == []
        await plane.until_full()
        await plane.until_clean()
        await check_served(world, plane, service)

        after = cloud.inventory()
        machines, users = len(USERS) + SPARES, len(USERS)
        assert [after[kind] for kind in OLD_KINDS] == [0] * len(OLD_KINDS)
        assert after["instances"] == full["instances"] == machines
        gone = {
            "target_groups": users, "secrets": users, "launch_templates": 1, "tasks": 0, "nat_gateways": 1, "file_systems": 1,
            "addresses": 2,
        }  # fmt: skip
        assert {kind: full[kind] - after[kind] for kind in gone} == gone
        assert after["secrets_pending_deletion"] - full["secrets_pending_deletion"] == users
        assert after["addresses"] == furnished["addresses"] + machines, "the NAT gateway's was counted with its interface, too"
        kept = ("instances", "volumes", "snapshots", "rules", "load_balancers", "listeners")
        assert {kind: after[kind] for kind in kept} == {kind: full[kind] for kind in kept}
        new = {kind: after[kind] - furnished[kind] for kind in ("target_groups", "launch_templates")}
        assert new == {"target_groups": machines, "launch_templates": 0}
        rules = elbv2.describe_rules(ListenerArn=account.listener)["Rules"]
        assert sum(rule["Actions"][0]["Type"] == "redirect" for rule in rules) == users, "old addresses go on"
        for user in [row for row in await service.status() if row.instance_id]:
            assert user.instance_id is not None
            await plane.delete(user.instance_id)
