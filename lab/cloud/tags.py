"""Tags: EC2 refuses to tag a machine or a volume that it does not know, and keys that its metadata could not name.

Source of the latter: docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from lab.cloud.calls import Call
from lab.cloud.idempotency import dry
from lab.cloud.operations import moto, operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account

METADATA_KEY: Final = re.compile(r"[0-9a-zA-Z\-_+=,.@:]{1,255}")
RESERVED_KEYS: Final = frozenset({".", "..", "_index"})


def check_keys(keys: Iterable[str]) -> None:
    """Of a machine whose metadata tells its tags. AWS's own tags pass. Raises `InvalidParameterValue`."""
    for key in keys:
        if not METADATA_KEY.fullmatch(key) or key in RESERVED_KEYS:
            raise Refused(
                "InvalidParameterValue",
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), and must not be a reserved "
                "name ('.', '..', '_index')",
            )


@operation("ec2", "CreateTags")
def create_tags(account: Account, call: Call) -> Any:
    """Set tags, on a terminated machine as well for as long as it is listed."""
    dry(call)
    for each in call.params["Resources"]:
        if each.startswith("i-"):
            row = account.fleet.row(account, each)
            if row.tags_in_metadata:
                check_keys(tag["Key"] for tag in call.params.get("Tags") or call.params.get("Tag") or ())
        elif each.startswith("vol-") and each not in account.ec2.volumes:
            raise Refused("InvalidVolume.NotFound", f"The volume '{each}' does not exist.")
    return moto(call)
