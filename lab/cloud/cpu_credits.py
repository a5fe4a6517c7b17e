"""CPU credits of burstable machines: how they are set, what a machine has earned, and whether it is held to its baseline.

Sources: EC2's user guide, *Key concepts for burstable performance instances* (credits earned an hour, at most as many as in a day, no
launch credits for T3, T3a and T4g) and *Standard mode* (without credits a machine is held to its baseline); botocore's model of
ModifyInstanceCreditSpecification (what fails stands in the answer). What a machine does with its processor the lab does not know: all that
it has earned is still there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.fleet import Row, refresh
from lab.cloud.idempotency import dry
from lab.cloud.operations import operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account

BURSTABLE = ("t3.", "t3a.", "t4g.")
EARNED: Mapping[str, float] = {"nano": 6, "micro": 12, "small": 24, "medium": 24, "large": 36, "xlarge": 96, "2xlarge": 192}
"""Credits an hour, by size. One is a minute of one core."""
HOUR_SECONDS = 3600.0
MOST_HOURS = 24
SWITCHABLE = frozenset({"pending", "running", "stopping", "stopped"})


def balance(account: Account, row: Row) -> float:
    """The credits that a machine has earned; none before it runs, and none for other kinds of machine."""
    kind, _, size = row.instance.instance_type.partition(".")
    if f"{kind}." not in BURSTABLE or row.running_at is None:
        return 0.0
    hours = (account.clock() - row.running_at) / HOUR_SECONDS
    return EARNED[size] * min(hours, MOST_HOURS)


def held_back(account: Account) -> list[str]:
    """The machines that run at their baseline, a fifth of each core for a t3.small: standard credits, and not one of them there."""
    with account.lock:
        rows = [row for row in account.fleet.rows.values() if row.state == "running" and row.credits == "standard"]
        return [row.id for row in rows if row.instance.instance_type.startswith(BURSTABLE) and balance(account, row) < 1]


@operation("ec2", "ModifyInstanceCreditSpecification")
def modify_credits(account: Account, call: Call) -> Any:
    """Switch burstable machines between `standard` and `unlimited`. Those that can't be are listed in an answer that is no error."""
    dry(call)
    done, failed = [], []
    for each in call.params["InstanceCreditSpecifications"]:
        try:
            row = _switchable(account, each["InstanceId"])
        except Refused as problem:
            failed.append({"InstanceId": each["InstanceId"], "Error": {"Code": problem.code, "Message": problem.message}})
        else:
            row.credits = each["CpuCredits"]
            done.append({"InstanceId": row.id})
    return {"SuccessfulInstanceCreditSpecifications": done, "UnsuccessfulInstanceCreditSpecifications": failed}


def _switchable(account: Account, instance_id: str) -> Row:
    row = account.fleet.row(account, instance_id)
    if refresh(account, row) not in SWITCHABLE:
        raise Refused("IncorrectInstanceState", f"The instance '{row.id}' is '{row.state}'")
    if not row.instance.instance_type.startswith(BURSTABLE):
        raise Refused("InstanceCreditSpecification.NotSupported", f"The instance type of '{row.id}' has no credits")
    return row


@operation("ec2", "DescribeInstanceCreditSpecifications")
def describe_credits(account: Account, call: Call) -> Any:
    """How machines' CPU credits are set: of those that are named, else of those that are unlimited."""
    wanted = call.params.get("InstanceIds")
    if wanted:
        rows = [account.fleet.row(account, each) for each in wanted]
    else:
        rows = [row for row in account.fleet.rows.values() if row.credits == "unlimited"]
    return {"InstanceCreditSpecifications": [{"InstanceId": row.id, "CpuCredits": row.credits} for row in rows]}
