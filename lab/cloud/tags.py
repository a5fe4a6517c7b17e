"""Tags of what exists: EC2 refuses to tag a machine or a volume that it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.idempotency import dry
from lab.cloud.operations import moto, operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account


@operation("ec2", "CreateTags")
def create_tags(account: Account, call: Call) -> Any:
    """Set tags, on a terminated machine as well for as long as it is listed."""
    dry(call)
    for each in call.params["Resources"]:
        if each.startswith("i-"):
            account.fleet.row(account, each)
        elif each.startswith("vol-") and each not in account.ec2.volumes:
            raise Refused("InvalidVolume.NotFound", f"The volume '{each}' does not exist.")
    return moto(call)
