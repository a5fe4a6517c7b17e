"""What costs are estimated with: the settings, as the cost model takes them."""

from __future__ import annotations

from dataclasses import replace

from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.settings import Settings
from openclaw_hosted.settings_aws import AwsSettings, MachineSettings, load_machine_settings


def planned_deployment() -> Deployment:
    """A deployment as Terraform makes it, with the machines and prices of the environment. Raises `SettingsError`."""
    return _of_machines(load_machine_settings())


def deployment_of(settings: Settings, aws: AwsSettings) -> Deployment:
    """The one that runs with these settings."""
    return replace(
        _of_machines(aws),
        zones=len(aws.subnets),
        load_balancers=len(aws.listeners),
        postgres=settings.database_url.startswith("postgres"),
    )


def _of_machines(machines: MachineSettings) -> Deployment:
    return Deployment(
        instance_type=machines.instance_type,
        spot_price=machines.spot_price,
        on_demand_price=machines.on_demand_price,
        on_demand=machines.on_demand_spares,
        data_gib=machines.volume_gib,
        root_gib=machines.root_volume_gib,
        shard_capacity=machines.shard_capacity,
    )
