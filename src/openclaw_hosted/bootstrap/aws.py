"""The AWS provider, wired: what the settings name is looked up first, so that a wrong one is told at the start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from openclaw_hosted.adapters.aws.account import find_image, find_network, find_place, shared_key
from openclaw_hosted.adapters.aws.agents import Agents
from openclaw_hosted.adapters.aws.archives import AwsArchives
from openclaw_hosted.adapters.aws.brought import BroughtArchives
from openclaw_hosted.adapters.aws.bucket import Bucket, Passage
from openclaw_hosted.adapters.aws.carrier import AwsCarrier
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.aws.fleet import Fleet
from openclaw_hosted.adapters.aws.gateways import AwsGateways, Inside
from openclaw_hosted.adapters.aws.log_search import LogSearch
from openclaw_hosted.adapters.aws.machines import AwsMachines, LaunchPlan
from openclaw_hosted.adapters.aws.meter import AwsMeter
from openclaw_hosted.adapters.aws.notices import AwsNotices
from openclaw_hosted.adapters.aws.ownership import AwsOwnership
from openclaw_hosted.adapters.aws.restore_points import AwsRestorePoints
from openclaw_hosted.adapters.aws.vault import AwsVault
from openclaw_hosted.adapters.aws.volumes import AwsVolumes
from openclaw_hosted.adapters.sealing import KeySealer
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.bootstrap.aws_way_in import through_balancers, through_this_machine
from openclaw_hosted.bootstrap.costs import deployment_of
from openclaw_hosted.bootstrap.provided import Progress, Provided, archive_limits
from openclaw_hosted.controllers.context import ControllerOptions
from openclaw_hosted.domain.origins import origin_of
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.tracing import Watch
from openclaw_hosted.settings import Settings
from openclaw_hosted.settings_aws import AwsSettings, load_aws_settings

PACE: Final = ControllerOptions(
    policy=PoolPolicy(ready_timeout_seconds=900.0, max_launches_at_once=10, backoff_seconds=15.0),
    workers=32,
    poll_seconds=1.0,
    gateway_ready_seconds=300.0,
    liveness_seconds=15.0,
    gone_again_seconds=3.0,
    dead_after_looks=2,
    orphans_seconds=120.0,
    orphan_grace_seconds=600.0,
    attempts_limit=20,
)
"""AWS is slower than one computer, asks for few calls, and lists what was just made with a delay."""


@asynccontextmanager
async def aws_sdk(aws: AwsSettings, clock: SystemClock, watch: Watch | None = None) -> AsyncIterator[AwsSdk]:
    """The client for the account and region of the settings, closed at the end of the block."""
    sdk = AwsSdk(aws.region, clock, SystemIds(), aws.endpoint_url, watch or Watch())
    try:
        yield sdk
    finally:
        await sdk.aclose()


async def provide_aws(
    settings: Settings, mark: str, clock: SystemClock, progress: Progress, stack: AsyncExitStack, watch: Watch | None = None
) -> Provided:
    """The provider of the account that the settings name, for the platform with this mark. Raises `PortError` or `SettingsError` with the
    way out."""
    aws = load_aws_settings()
    progress(f"Looking around in AWS, {aws.region}")
    sdk = await stack.enter_async_context(aws_sdk(aws, clock, watch))
    place = replace(await find_place(sdk, aws.region), machine_role=aws.machine_role)
    network = await find_network(sdk, aws.vpc, aws.subnets)
    image = await find_image(sdk, aws.repository, aws.image_tag)
    way_in = (
        await through_balancers(sdk, clock, settings, aws, network, stack) if aws.has_balancers else through_this_machine(settings, mark)
    )
    router, address = way_in.router, way_in.addresses.public
    fleet = Fleet(sdk, clock, aws.deployment, aws.vpc)
    vault = AwsVault(sdk, clock, aws.deployment, place, settings.retention_days)
    volumes = AwsVolumes(sdk, fleet, clock, aws.deployment, aws.volume_gib)
    inside = Inside(lambda instance_id: _origins(address, router.public_url(instance_id)), network.cidrs, aws.deployment, aws.log_group)
    commands = RunCommand(sdk, fleet, clock)
    search = LogSearch(sdk, aws.log_group) if aws.log_group else None
    gateways = AwsGateways(fleet, commands, vault, volumes, clock, inside, search)
    stack.push_async_callback(gateways.aclose)
    plan = LaunchPlan(
        aws.deployment, aws.fleet_template, aws.instance_types, network.subnets, aws.on_demand_spares, aws.on_demand_fallback,
        aws.on_demand_replacements,
    )  # fmt: skip

    def passage(bucket: str, kind: str) -> Passage:
        return Passage(sdk, place, aws.deployment, Bucket(bucket, aws.region, aws.endpoint_url), SystemIds(), kind)

    archives, brought, work = None, None, settings.data_dir / "archives"
    if aws.archives_bucket:
        archives = AwsArchives(commands, passage(aws.archives_bucket, "archive"), work)
        brought = BroughtArchives(commands, passage(aws.archives_bucket, "brought"), work, archive_limits(settings), aws.volume_gib)
    return Provided(
        machines=AwsMachines(sdk, fleet, Agents(sdk, clock), plan),
        gateways=gateways,
        volumes=volumes,
        points=AwsRestorePoints(sdk, fleet, volumes, commands, aws.deployment, archives, brought),
        vault=vault,
        sealer=KeySealer(await shared_key(sdk, aws.deployment)),
        router=router,
        gate=way_in.gate,
        meter=AwsMeter(sdk, aws.deployment),
        ownership=AwsOwnership(sdk, aws.deployment),
        options=replace(
            PACE,
            policy=replace(PACE.policy, image=image),
            shards=way_in.shards,
            deployment=deployment_of(settings, aws),
        ),
        carrier=lambda name: AwsCarrier(commands, volumes, passage(name, "migration")),
        notices=AwsNotices(sdk, clock, place, aws.notices_queue) if aws.notices_queue else None,
        addresses=way_in.addresses,
        edge=way_in.edge,
        trusted_proxies=way_in.trusted_proxies,
    )


def _origins(*addresses: str) -> tuple[str, ...]:
    """The browser origins of these addresses."""
    return tuple(dict.fromkeys(str(origin_of(address)) for address in addresses))
