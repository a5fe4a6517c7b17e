"""How machines are listed: filters, pages, and each machine as DescribeInstances shows it. Quick, for thousands of machines."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from lab.cloud.fleet import CODES, Row
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account

T = TypeVar("T")

FIELDS: Mapping[str, Callable[[Row], Any]] = {
    "instance-id": lambda row: row.id,
    "instance-type": lambda row: row.instance.instance_type,
    "instance-state-name": lambda row: row.state,
    "instance-state-code": lambda row: str(CODES[row.state]),
    "instance-lifecycle": lambda row: "spot" if row.spot else None,
    "availability-zone": lambda row: row.instance.availability_zone,
    "subnet-id": lambda row: row.instance.subnet_id,
    "vpc-id": lambda row: row.instance.vpc_id,
    "image-id": lambda row: row.instance.image_id,
    "client-token": lambda row: row.token,
    "private-ip-address": lambda row: row.instance.private_ip,
    "ip-address": lambda row: row.instance.public_ip,
    "reservation-id": lambda row: row.reservation_id,
    "instance.group-id": lambda row: [group.id for group in row.instance.security_groups],
    "iam-instance-profile.arn": lambda row: (row.instance.iam_instance_profile or {}).get("Arn"),
}


@cache
def _pattern(value: str) -> re.Pattern[str]:
    escaped = value.replace("[", "[[]")
    return re.compile(fnmatch.translate(escaped))


def any_matches(found: Any, values: Sequence[str]) -> bool:
    """Whether one of a filter's values, with `*` and `?`, fits what a resource has."""
    candidates = found if isinstance(found, list) else [found]
    return any(_pattern(value).match(str(each)) for value in values for each in candidates if each is not None)


def matching(item: T, tags: Mapping[str, str], fields: Mapping[str, Callable[[T], Any]], filters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a resource passes all filters. Raises `InvalidParameterValue` for a filter that the lab does not know."""
    for each in filters:
        name, values = each["Name"], each.get("Values") or []
        if name.startswith("tag:"):
            found: Any = tags.get(name[4:])
        elif name == "tag-key":
            found = list(tags)
        elif name in fields:
            found = fields[name](item)
        else:
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not any_matches(found, values):
            return False
    return True


def page(
    items: list[T],
    params: Mapping[str, Any],
    *,
    key: Callable[[T], str],
    most: int,
    size: str = "MaxResults",
    token: str = "NextToken",  # noqa: S107
) -> tuple[list[T], str | None]:
    """One page of a list, and the token of the next. A token names the last item of the page before."""
    start = 0
    if given := params.get(token):
        start = next((index + 1 for index, item in enumerate(items) if key(item) == given), len(items))
    wanted = min(int(params.get(size) or most), most)
    shown = items[start : start + wanted]
    return shown, key(shown[-1]) if len(items) > start + wanted else None


def described(account: Account, row: Row) -> dict[str, Any]:
    """A machine as DescribeInstances shows it."""
    instance, backend = row.instance, account.ec2
    gone = row.state == "terminated"
    groups = [{"GroupId": group.id, "GroupName": group.name} for group in instance.security_groups]
    shown: dict[str, Any] = {
        "InstanceId": row.id,
        "ImageId": instance.image_id,
        "InstanceType": instance.instance_type,
        "State": {"Code": CODES[row.state], "Name": row.state},
        "LaunchTime": instance.launch_time,
        "Placement": {"AvailabilityZone": instance.availability_zone, "Tenancy": "default"},
        "Monitoring": {"State": "disabled"},
        "Architecture": instance.architecture,
        "RootDeviceName": next((device for device, _ in instance.get_block_device_mapping), instance.root_device_name),
        "RootDeviceType": "ebs",
        "ClientToken": row.token,
        "AmiLaunchIndex": instance.ami_launch_index,
        "MetadataOptions": instance.metadata_options,
        "Tags": [{"Key": key, "Value": value} for key, value in backend.tags.get(row.id, {}).items()],
    }
    if row.spot:
        shown["InstanceLifecycle"] = "spot"
        shown["SpotInstanceRequestId"] = f"sir-{row.id[-8:]}"
    if gone:
        return shown
    nic = instance.nics[0]
    shown |= {
        "PrivateIpAddress": nic.private_ip_address,
        "PrivateDnsName": instance.private_dns_name,
        "PublicIpAddress": nic.public_ip,
        "PublicDnsName": instance.public_dns_name or "",
        **({"Ipv6Address": nic.ipv6_addresses[0]} if nic.ipv6_addresses else {}),
        "SubnetId": instance.subnet_id,
        "VpcId": instance.vpc_id,
        "SourceDestCheck": instance.source_dest_check,
        "EbsOptimized": instance.ebs_optimized,
        "SecurityGroups": groups,
        "IamInstanceProfile": instance.iam_instance_profile,
        "BlockDeviceMappings": [_disk(device, disk, backend) for device, disk in instance.get_block_device_mapping],
        "NetworkInterfaces": [_interface(nic, groups, instance)],
    }
    return shown


def _disk(device: str, disk: Any, backend: Any) -> dict[str, Any]:
    volume = backend.volumes[disk.volume_id]
    return {
        "DeviceName": device,
        "Ebs": {
            "VolumeId": disk.volume_id,
            "Status": volume.attachment.status if volume.attachment else "detached",
            "DeleteOnTermination": bool(disk.delete_on_termination),
            "AttachTime": disk.attach_time,
        },
    }


def _interface(nic: Any, groups: list[dict[str, Any]], instance: Any) -> dict[str, Any]:
    public = {"Association": {"PublicIp": nic.public_ip, "IpOwnerId": "amazon"}} if nic.public_ip else {}
    return {
        "NetworkInterfaceId": nic.id,
        "SubnetId": instance.subnet_id,
        "VpcId": instance.vpc_id,
        "PrivateIpAddress": nic.private_ip_address,
        "MacAddress": nic.mac_address,
        "SourceDestCheck": nic.source_dest_check,
        "Status": "in-use",
        "Groups": groups,
        "Ipv6Addresses": nic.instance_ipv6_address_list,
        "Attachment": {"AttachmentId": nic.attachment_id, "DeviceIndex": 0, "DeleteOnTermination": True, "Status": "attached"},
        **public,
    }


def moment(seconds: float) -> datetime:
    """A time of the account's clock, as moto's serializers take it."""
    return datetime.fromtimestamp(seconds, UTC)
