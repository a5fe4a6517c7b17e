"""EC2 instances: launched with all that a launch template says, idempotent by client token, with states that take time."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from lab.cloud import launch as launching
from lab.cloud import market
from lab.cloud.calls import Call
from lab.cloud.describe import FIELDS, described, matching, page
from lab.cloud.fleet import CODES, Row, change, refresh, refresh_all
from lab.cloud.idempotency import dry, once
from lab.cloud.operations import operation
from lab.cloud.refused import Refused
from lab.cloud.xml import render

if TYPE_CHECKING:
    from lab.cloud.account import Account


@operation("ec2", "RunInstances", locked=False)
def run_instances(account: Account, call: Call) -> Any:
    """Launch machines from request and template."""
    params = call.params
    with account.lock:
        template, tags = launching.template_data(account, params.get("LaunchTemplate"))
        if params.get("SubnetId") and (params.get("NetworkInterfaces") or template.get("NetworkInterfaces")):
            raise Refused("InvalidParameterCombination", "Network interfaces and a subnet of the machine exclude each other")
        launch = launching.resolve(account, params, template, tags)
    dry(call)
    least, most = int(params.get("MinCount", 1)), int(params.get("MaxCount", 1))

    def work() -> list[str]:
        count, problem = 0, None
        while count < most and (problem := market.take(account, launch)) is None:
            count += 1
        if count < least:
            market.give_back(account, launch, count)
            raise problem or market.insufficient(launch)
        return [row.id for row in launching.start(account, launch, count)]

    ids = once(account, call, work)
    with account.lock:
        rows = [account.fleet.rows[each] for each in ids if each in account.fleet.rows]
        reservations = grouped(account, rows)
    return render("RunInstances", reservations[0] if reservations else {"Instances": []})


def grouped(account: Account, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows as reservations."""
    reservations: dict[str, dict[str, Any]] = {}
    for row in rows:
        found = reservations.setdefault(
            row.reservation_id, {"ReservationId": row.reservation_id, "OwnerId": account.account_id, "Groups": [], "Instances": []}
        )
        found["Instances"].append(described(account, row))
    return list(reservations.values())


@operation("ec2", "DescribeInstances")
def describe_instances(account: Account, call: Call) -> Any:
    """List machines, those that were terminated a while ago included; a page counts machines."""
    dry(call)
    params = call.params
    refresh_all(account)
    if ids := params.get("InstanceIds"):
        if params.get("MaxResults"):
            raise Refused("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
        rows = [account.fleet.row(account, each) for each in ids]
    else:
        listed = account.clock() - account.delays.unlisted_seconds
        rows = [row for row in account.fleet.rows.values() if row.launched_at <= listed]
    rows = [row for row in rows if matching(row, account.ec2.tags.get(row.id, {}), FIELDS, params.get("Filters") or [])]
    rows, token = page(rows, params, key=lambda row: row.id, most=1000)
    return render("DescribeInstances", {"Reservations": grouped(account, rows), "NextToken": token})


@operation("ec2", "TerminateInstances")
def terminate_instances(account: Account, call: Call) -> Any:
    """End machines for good; again and again with the same answer."""
    dry(call)
    return {"TerminatingInstances": _changed(account, call, "shutting-down", {"pending", "running", "stopping", "stopped"})}


@operation("ec2", "StopInstances")
def stop_instances(account: Account, call: Call) -> Any:
    """Power machines off."""
    dry(call)
    for each in call.params["InstanceIds"]:
        row = account.fleet.row(account, each)
        if refresh(account, row) in {"shutting-down", "terminated"}:
            raise Refused("IncorrectInstanceState", f"This instance '{each}' is not in a state from which it can be stopped.")
        if row.spot:
            raise Refused(
                "UnsupportedOperation",
                f"You can't stop the Spot Instance '{each}' because it is associated with a one-time Spot Instance request.",
            )
    return {"StoppingInstances": _changed(account, call, "stopping", {"pending", "running"})}


@operation("ec2", "StartInstances")
def start_instances(account: Account, call: Call) -> Any:
    """Boot stopped machines again."""
    dry(call)
    for each in call.params["InstanceIds"]:
        if refresh(account, account.fleet.row(account, each)) not in {"stopped", "running", "pending"}:
            raise Refused("IncorrectInstanceState", f"The instance '{each}' is not in a state from which it can be started.")
    return {"StartingInstances": _changed(account, call, "pending", {"stopped"})}


@operation("ec2", "RebootInstances")
def reboot_instances(account: Account, call: Call) -> Any:
    """Ask machines to reboot; they stay `running` all the while. Source: API reference of EC2, *RebootInstances*."""
    dry(call)
    rows = [account.fleet.row(account, each) for each in call.params["InstanceIds"]]
    for row in rows:
        if refresh(account, row) != "running":
            raise Refused("IncorrectInstanceState", f"The instance '{row.id}' is not in a state from which it can be rebooted.")
    machines = account.machines
    if machines is not None:
        for row in rows:
            account.background(partial(machines.reboot, row.id))
    return {}


def _changed(account: Account, call: Call, state: str, from_states: set[str]) -> list[dict[str, Any]]:
    rows = [account.fleet.row(account, each) for each in call.params.get("InstanceIds") or []]
    if not rows:
        raise Refused("MissingParameter", "The request must contain the parameter InstanceIds")
    changes = []
    for row in rows:
        previous = refresh(account, row)
        if previous in from_states:
            change(account, row, state)
        now = row.state
        changes.append({"InstanceId": row.id, "CurrentState": _state(now), "PreviousState": _state(previous)})
    return changes


def _state(name: str) -> dict[str, Any]:
    return {"Code": CODES[name], "Name": name}


@operation("ec2", "DescribeInstanceStatus")
def describe_instance_status(account: Account, call: Call) -> Any:
    """Status checks pass as soon as a machine runs."""
    refresh_all(account)
    wanted = call.params.get("InstanceIds")
    rows = [account.fleet.row(account, each) for each in wanted] if wanted else list(account.fleet.rows.values())
    every = str(call.params.get("IncludeAllInstances", "false")).lower() == "true"
    statuses = [_status(row) for row in rows if every or row.state == "running"]
    return {"InstanceStatuses": statuses}


def _status(row: Row) -> dict[str, Any]:
    check = (
        {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
        if row.state == "running"
        else {"Status": "not-applicable"}
    )
    return {
        "InstanceId": row.id,
        "AvailabilityZone": row.instance.availability_zone,
        "InstanceState": _state(row.state),
        "InstanceStatus": check,
        "SystemStatus": check,
    }
