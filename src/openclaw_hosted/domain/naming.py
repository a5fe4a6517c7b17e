"""Ids and the names derived from them.

Every name of a cloud thing is derived from an id that was committed first, so a crash between the two finds the thing again.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import count
from typing import NewType

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.text import folded, is_visible, one_line

UserId = NewType("UserId", str)
InstanceId = NewType("InstanceId", str)
MachineId = NewType("MachineId", str)
VolumeId = NewType("VolumeId", str)
RestorePointId = NewType("RestorePointId", str)

ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 8
INSTANCE_ID_PATTERN = rf"oc-[{ID_ALPHABET}]{{{ID_LENGTH}}}"
MACHINE_ID_PATTERN = rf"mc-[{ID_ALPHABET}]{{{ID_LENGTH}}}"
_INSTANCE_ID = re.compile(INSTANCE_ID_PATTERN)

NAME_MAX_LENGTH = 60


def is_instance_id(text: str) -> bool:
    """Whether `text` has the exact form of an instance id, such as `oc-7f3k2m9q`."""
    return _INSTANCE_ID.fullmatch(text) is not None


def base_path(instance_id: InstanceId) -> str:
    """The path under which an instance is reached, without a trailing slash."""
    return f"/{instance_id}"


def volume_of(instance_id: InstanceId) -> VolumeId:
    """The volume that holds an instance's data: known before either exists, and never another's."""
    return VolumeId(f"vol-{instance_id.removeprefix('oc-')}")


def aside_of(instance_id: InstanceId, mark: str) -> VolumeId:
    """What an instance's volume is called that another one took the place of; `mark` tells which time that was."""
    return VolumeId(f"{volume_of(instance_id)}.{mark}")


def is_aside(volume_id: VolumeId, instance_id: InstanceId) -> bool:
    """Whether it is one that was set aside for the present one."""
    return volume_id.startswith(f"{volume_of(instance_id)}.")


def point_of_orphan(volume_id: VolumeId) -> RestorePointId:
    """The restore point that a volume without a row becomes before it goes."""
    return RestorePointId(f"rp-{volume_id}")


def free_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or with the first number after it that makes it unlike those taken: `Assistant`, `Assistant 2`."""
    others = {folded(name) for name in taken}
    names = (wanted if number == 1 else f"{wanted} {number}" for number in count(1))
    return next(name for name in names if folded(name) not in others)


def clean_display_name(text: str, field: str = "name") -> str:
    """`text` in the form in which names are kept; raises `InvalidInput` when it cannot serve as a name."""
    name = one_line(text, field, NAME_MAX_LENGTH)
    if not is_visible(name):
        raise InvalidInput(FieldProblem(field, "Give it a name, such as “My assistant”."))
    return name
