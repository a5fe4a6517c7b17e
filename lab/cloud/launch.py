"""Launching machines: what a request and its launch template together ask for, and the machine that comes of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.core.types import Base64EncodedString
from moto.ec2.utils import filter_iam_instance_profiles, random_private_ip

from lab.cloud import market
from lab.cloud.cpu_credits import BURSTABLE
from lab.cloud.fleet import Row
from lab.cloud.refused import Refused
from lab.cloud.tags import check_keys
from lab.plane.base import MachineOrder

if TYPE_CHECKING:
    from lab.cloud.account import Account

Params = Mapping[str, Any]
ROOT_GIB = 8


@dataclass(frozen=True)
class Launch:
    """What one machine is launched with, after request and template are merged."""

    image_id: str
    instance_type: str
    subnet_id: str | None
    zone: str
    groups: tuple[str, ...]
    public_ip: bool | None
    ipv6_network: str | None
    """Where it gets an IPv6 address from; None for a machine without one."""
    user_data: str | None
    """In base64."""
    profile: Any
    """Moto's instance profile, or None."""
    spot: bool
    spot_options: Params
    credits: str
    metadata: Params
    disks: tuple[Params, ...]
    tags: Mapping[str, Mapping[str, str]]
    """By resource type."""
    token: str = ""
    moto: Params = field(default_factory=dict)
    """What moto takes as it is."""

    @property
    def tags_in_metadata(self) -> bool:
        """Whether the machine reads its own tags at the metadata address."""
        return bool(self.metadata.get("InstanceMetadataTags") == "enabled")

    def market(self) -> str:
        """As capacity is counted."""
        return "spot" if self.spot else "on-demand"


def template_data(account: Account, reference: Params | None) -> tuple[Params, Mapping[str, str]]:
    """The data of a launch template's version, and the tags that AWS puts on what is launched from it."""
    if not reference:
        return {}, {}
    backend = account.ec2
    if identity := reference.get("LaunchTemplateId"):
        template = backend.launch_templates.get(identity)
        if template is None:
            raise Refused(
                "InvalidLaunchTemplateId.NotFound", f"The specified launch template, with template ID {identity}, does not exist."
            )
    else:
        template = backend.get_launch_template_by_name(reference.get("LaunchTemplateName", ""))
    version = template.get_version(reference.get("Version") or "$Default")
    return version.data, {"aws:ec2launchtemplate:id": template.id, "aws:ec2launchtemplate:version": str(version.number)}


def resolve(account: Account, request: Params, template: Params, extra_tags: Mapping[str, str]) -> Launch:
    """Merge a request with its template's data: what the request says wins, tags and disks are merged by key. Raises `Refused`."""
    merged = {**template, **request}
    image_id = str(merged.get("ImageId") or "")
    if not image_id:
        raise Refused("MissingParameter", "The request must contain the parameter ImageId")
    interface: Params = next((each for each in merged.get("NetworkInterfaces") or [] if int(each.get("DeviceIndex", 0)) == 0), {})
    subnet_id = interface.get("SubnetId") or merged.get("SubnetId")
    subnet = account.ec2.get_subnet(subnet_id) if subnet_id else None
    instance_type = str(merged.get("InstanceType") or "m1.small")
    options = merged.get("InstanceMarketOptions") or {}
    groups = interface.get("Groups") or merged.get("SecurityGroupIds") or ()
    launch = Launch(
        image_id=image_id,
        instance_type=instance_type,
        subnet_id=subnet_id,
        zone=subnet.availability_zone if subnet else (merged.get("Placement") or {}).get("AvailabilityZone") or f"{account.region}a",
        groups=tuple(groups),
        public_ip=interface.get("AssociatePublicIpAddress"),
        ipv6_network=_ipv6_network(subnet) if int(interface.get("Ipv6AddressCount") or 0) else None,
        user_data=_encoded(merged.get("UserData")),
        profile=_profile(account, merged.get("IamInstanceProfile")),
        spot=options.get("MarketType") == "spot",
        spot_options=options.get("SpotOptions") or {},
        credits=(merged.get("CreditSpecification") or {}).get("CpuCredits") or _default_credits(instance_type),
        metadata={**(template.get("MetadataOptions") or {}), **(request.get("MetadataOptions") or {})},
        disks=_disks(account, image_id, template, request),
        tags=_tags(template, request, extra_tags),
        token=str(request.get("ClientToken") or ""),
        moto={
            "key_name": merged.get("KeyName"),
            "ebs_optimized": bool(merged.get("EbsOptimized")),
            "security_group_names": merged.get("SecurityGroups") or [],
        },
    )
    if launch.tags_in_metadata:
        check_keys(launch.tags.get("instance", {}))
    return launch


def _ipv6_network(subnet: Any) -> str:
    """AWS gives such an address only from the subnet's own IPv6 block; the wording of its refusal is supposed."""
    for block in subnet.ipv6_cidr_block_association_set if subnet else ():
        return str(block["ipv6CidrBlock"])
    raise Refused("InvalidParameterValue", f"The subnet {subnet and subnet.id} has no IPv6 CIDR block to give a machine an address from")


def _encoded(user_data: Any) -> str | None:
    if user_data is None or isinstance(user_data, str):
        return user_data
    return user_data.decode("ascii") if isinstance(user_data, bytes) else str(user_data)


def _default_credits(instance_type: str) -> str:
    """`t2.` and machines without credits launch with `standard`."""
    return "unlimited" if instance_type.startswith(BURSTABLE) else "standard"


def _profile(account: Account, reference: Params | None) -> Any:
    if not reference:
        return None
    return filter_iam_instance_profiles(
        account.account_id, partition="aws", iam_instance_profile_arn=reference.get("Arn"), iam_instance_profile_name=reference.get("Name")
    )


def _disks(account: Account, image_id: str, template: Params, request: Params) -> tuple[Params, ...]:
    images = account.ec2.amis
    root = getattr(images.get(image_id), "root_device_name", None) or "/dev/xvda"
    disks: dict[str, dict[str, Any]] = {root: {"VolumeSize": ROOT_GIB, "VolumeType": "gp3", "DeleteOnTermination": True}}
    for mapping in [*(template.get("BlockDeviceMappings") or []), *(request.get("BlockDeviceMappings") or [])]:
        device = mapping["DeviceName"]
        if "NoDevice" in mapping:
            disks.pop(device, None)
        else:
            disks[device] = {**disks.get(device, {}), **(mapping.get("Ebs") or {})}
    for device, ebs in disks.items():
        if not ebs.get("VolumeSize") and not ebs.get("SnapshotId"):
            raise Refused("MissingParameter", f"The request must contain the size or the snapshot of {device}")
    return tuple({"DeviceName": device, "Ebs": ebs} for device, ebs in disks.items())


def _tags(template: Params, request: Params, extra: Mapping[str, str]) -> dict[str, dict[str, str]]:
    tags: dict[str, dict[str, str]] = {}
    for spec in [*(template.get("TagSpecifications") or []), *(request.get("TagSpecifications") or [])]:
        of_type = tags.setdefault(spec["ResourceType"], {})
        of_type.update({tag["Key"]: tag.get("Value", "") for tag in spec.get("Tags") or []})
    tags.setdefault("instance", {}).update(extra)
    return tags


def start(account: Account, launch: Launch, count: int) -> list[Row]:
    """Make machines that were promised, in one reservation, and have them boot. Takes the lock for moto's part only."""
    with account.lock:
        try:
            rows = _make(account, launch, count)
        finally:
            market.give_back(account, launch, count)
    for row in rows:
        _boot(account, launch, row)
    return rows


def _make(account: Account, launch: Launch, count: int) -> list[Row]:
    reservation = account.ec2.run_instances(
        launch.image_id,
        count,
        Base64EncodedString(launch.user_data) if launch.user_data else None,
        launch.moto["security_group_names"],
        instance_type=launch.instance_type,
        is_instance_type_default=False,
        region_name=account.region,
        subnet_id=launch.subnet_id,
        placement=None if launch.subnet_id else launch.zone,
        security_group_ids=list(launch.groups),
        associate_public_ip=launch.public_ip,
        key_name=launch.moto["key_name"],
        ebs_optimized=launch.moto["ebs_optimized"],
        metadata_options=dict(launch.metadata),
        instance_market_options="spot" if launch.spot else None,
        block_device_mappings=[_for_moto(disk) for disk in launch.disks],
        tags={"instance": dict(launch.tags.get("instance", {})), "volume": dict(launch.tags.get("volume", {}))},
        client_token=launch.token,
    )
    rows = []
    for instance in reservation.instances:
        row = Row(
            instance=instance,
            reservation_id=reservation.id,
            launched_at=account.clock(),
            spot=launch.spot,
            role_name=launch.profile.roles[0].name if launch.profile and launch.profile.roles else None,
            credits=launch.credits,
            token=launch.token,
            tags_in_metadata=launch.tags_in_metadata,
            changed_at=account.clock(),
            settled=False,
        )
        instance._state.name, instance._state.code = "pending", 0  # noqa: SLF001
        account.fleet.rows[row.id] = row
        if launch.profile is not None:
            account.ec2.associate_iam_instance_profile(instance_id=row.id, iam_instance_profile_arn=launch.profile.arn)
        for nic in instance.nics.values():
            nic.delete_on_termination = True
            nic.ipv6_addresses = [random_private_ip(launch.ipv6_network, ipv6=True)] if launch.ipv6_network else []
            account.ec2.tags[nic.id].update(launch.tags.get("network-interface", {}))
        rows.append(row)
    return rows


def _for_moto(disk: Params) -> dict[str, Any]:
    return {"DeviceName": disk["DeviceName"], "Ebs": {"DeleteOnTermination": False, **disk["Ebs"]}}


def _boot(account: Account, launch: Launch, row: Row) -> None:
    machines = account.machines
    if machines is not None:
        root = launch.disks[0]["DeviceName"] if launch.disks else ""
        order = MachineOrder(
            instance_id=row.id,
            zone=launch.zone,
            instance_type=launch.instance_type,
            user_data=base64.b64decode(launch.user_data).decode() if launch.user_data else "",
            role_name=row.role_name,
            volumes={device: (disk.volume_id, int(disk.size)) for device, disk in row.instance.get_block_device_mapping if device != root},
            hop_limit=int(launch.metadata.get("HttpPutResponseHopLimit") or 1),
            tags_in_metadata=launch.tags_in_metadata,
            boot_seconds=account.delays.boot_seconds,
        )
        _hand_over(account, row, order)
    with account.lock:
        if row.state == "pending":
            row.settled = True
    row.launched.set()


def _hand_over(account: Account, row: Row, order: MachineOrder) -> None:
    assert account.machines is not None
    try:
        row.instance.nics[0].private_ip_address = account.machines.launch(order)
    except Exception:
        with account.lock:
            row.state, row.changed_at, row.settled = "shutting-down", account.clock(), True
        row.launched.set()
        raise
    account.disks.made.update(volume_id for volume_id, _ in order.volumes.values())
