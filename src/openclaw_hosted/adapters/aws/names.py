"""Names and tags of what the platform makes in an account, each derived from an id that was committed before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from openclaw_hosted.domain.naming import InstanceId, MachineId, is_instance_id

MACHINE_NAME: Final = "openclaw-user-instance"
"""The tag `Name` of every machine and volume, as the launch template has it too."""
PORT: Final = 8080
DEVICES: Final = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")
"""Where data volumes are attached: the first for the one that comes with a machine. AWS recommends these names."""
_MACHINE_PREFIX: Final = "mc-"


class Tag:
    """The keys. None has a blank or a slash: a machine reads its own from the metadata address, where such keys can't be asked for."""

    NAME: Final = "Name"
    DEPLOYMENT: Final = "Deployment"
    STATUS: Final = "Status"
    MACHINE: Final = "MachineId"
    RESERVED: Final = "ReservedInstanceId"
    IMAGE: Final = "Image"
    INSTANCE: Final = "InstanceId"
    USER: Final = "UserId"
    VOLUME: Final = "VolumeId"
    FRESH: Final = "Fresh"
    """On a volume: `yes` from when it is marked until a gateway has started on it for the first time, so that it may be formatted."""
    POINT: Final = "RestorePointId"
    RESTORED_AS: Final = "RestoredAs"
    """On a volume: the mark of the restoring that made it."""
    RESTORED_FROM: Final = "RestoredFrom"
    """On a volume that was made from a restore point: the instance whose id stands inside it at first."""
    GRANTED_TO: Final = "InstanceArn"
    """On a secret: the one machine that may read it (`secretsmanager:ResourceTag/InstanceArn`)."""


def as_tags(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the API's shape."""
    return [{"Key": key, "Value": value} for key, value in values.items()]


def from_tags(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """The inverse of `as_tags`."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or ()}


def filters(**values: str | list[str]) -> list[dict[str, Any]]:
    """Filters in the API's shape; `tag_X` stands for `tag:X`, two underscores for a dot, and one for a hyphen."""
    return [{"Name": _filter_name(name), "Values": [value] if isinstance(value, str) else value} for name, value in values.items()]


def _filter_name(name: str) -> str:
    return f"tag:{name.removeprefix('tag_')}" if name.startswith("tag_") else name.replace("__", ".").replace("_", "-")


def secret_of(deployment: str, instance_id: InstanceId) -> str:
    """The name of an instance's secret, such as `openclaw/oc-7f3k2m9q`."""
    return f"{deployment}/{instance_id}"


def instance_of_secret(deployment: str, name: str) -> InstanceId | None:
    """The inverse of `secret_of`; None for another secret."""
    prefix, _, rest = name.rpartition("/")
    return InstanceId(rest) if prefix == deployment and is_instance_id(rest) else None


def group_of(deployment: str, machine_id: MachineId) -> str:
    """The name of a machine's target group: at most 32 letters, digits and hyphens."""
    return f"{deployment}-{machine_id}"


def machine_of_group(deployment: str, name: str) -> MachineId | None:
    """The inverse of `group_of`; None for another group."""
    rest = name.removeprefix(f"{deployment}-")
    return MachineId(rest) if rest != name and rest.startswith(_MACHINE_PREFIX) else None


def name_of_group(arn: str) -> str:
    """The name in a target group's ARN: `…:targetgroup/NAME/0123456789abcdef`."""
    return arn.rsplit("/", 2)[-2]
