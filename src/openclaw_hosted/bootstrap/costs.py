"""What costs are estimated with: the settings, as the cost model takes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from openclaw_hosted.bootstrap.pricing import kept_prices, with_read_prices
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.settings import Settings
from openclaw_hosted.settings_aws import AwsSettings, MachineSettings, load_machine_settings


def planned_deployment(data_dir: Path) -> Deployment:
    """A deployment as Terraform makes it, with the machines and prices of the environment, and those that were read of AWS. Raises
    `SettingsError`."""
    machines = load_machine_settings()
    return with_read_prices(_of_machines(machines), kept_prices(data_dir), machines.model_fields_set)


def deployment_of(settings: Settings, aws: AwsSettings) -> Deployment:
    """The one that runs with these settings."""
    return replace(
        with_read_prices(_of_machines(aws), kept_prices(settings.data_dir), aws.model_fields_set),
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
        machine_addresses=machines.addresses == "ipv4",
        data_gib=machines.volume_gib,
        root_gib=machines.root_volume_gib,
        shard_capacity=machines.shard_capacity,
    )
