"""How users reach machines in AWS: through load balancers, or through the edge of the machine that the control plane runs on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from openclaw_hosted.adapters.aws.account import Network, find_shards
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.adapters.aws.gate import OpenGate
from openclaw_hosted.adapters.aws.router import AwsRouter
from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.adapters.local.edge.router import HoldingRouter, LocalGate
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap.edge import addresses, local_edge
from openclaw_hosted.domain.origins import Addresses
from openclaw_hosted.domain.shards import NO_BALANCER, Shards
from openclaw_hosted.ports.router import Gate, Router
from openclaw_hosted.settings import Settings
from openclaw_hosted.settings_aws import AwsSettings


@dataclass(frozen=True, slots=True)
class WayIn:
    """What users' requests meet first, and what follows from it for the rest of the provider."""

    router: Router
    gate: Gate
    shards: Shards
    addresses: Addresses
    trusted_proxies: Sequence[str] = ()
    """Networks whose X-Forwarded headers the web application takes."""
    edge: LocalEdge | None = None


async def through_balancers(
    sdk: AwsSdk, clock: SystemClock, settings: Settings, aws: AwsSettings, network: Network, stack: AsyncExitStack
) -> WayIn:
    """The load balancers of the settings, with the platform's own rules on them. Raises `PortError` where one is missing or not its own."""
    shards = await find_shards(
        sdk, aws.listeners, aws.shard_urls or ((settings.public_url,) if settings.public_url and len(aws.listeners) == 1 else ())
    )
    address = settings.public_url or shards[0].address
    router = AwsRouter(sdk, clock, shards, aws.deployment, aws.vpc, address, aws.instance_domain)
    stack.push_async_callback(router.aclose)
    await router.ensure_own_rules()
    known = Addresses(address, tuple(shard.address for shard in shards))
    return WayIn(router, OpenGate(), Shards(len(shards), aws.shard_capacity), known, network.cidrs)


def through_this_machine(settings: Settings, mark: str) -> WayIn:
    """The edge of this machine, which speaks to the machines' private addresses, and lets only the owner of an instance pass."""
    router = HoldingRouter(settings.data_dir, settings.address, mark=mark)
    return WayIn(router, LocalGate(settings.data_dir), NO_BALANCER, addresses(settings), edge=local_edge(settings, mark))
