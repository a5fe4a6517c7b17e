"""Ids and the names derived from them.

Every name of a cloud thing is derived from an id that was committed first, so a crash between the two finds the thing again.
"""

from __future__ import annotations

import re
from typing import NewType

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.text import is_visible, one_line

UserId = NewType("UserId", str)
InstanceId = NewType("InstanceId", str)
MachineId = NewType("MachineId", str)
VolumeId = NewType("VolumeId", str)

ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 8
INSTANCE_ID_PATTERN = rf"oc-[{ID_ALPHABET}]{{{ID_LENGTH}}}"
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


def clean_display_name(text: str, field: str = "name") -> str:
    """`text` in the form in which names are kept; raises `InvalidInput` when it cannot serve as a name."""
    name = one_line(text, field, NAME_MAX_LENGTH)
    if not is_visible(name):
        raise InvalidInput(FieldProblem(field, "Give it a name, such as “My assistant”."))
    return name
