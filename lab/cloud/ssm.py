"""SSM Run Command: commands that reach real machines, late or never, and end as they end there."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.describe import moment, page
from lab.cloud.fleet import LIVE, Row, look, power_of, refresh, refresh_all
from lab.cloud.operations import operation
from lab.cloud.refused import Refused
from lab.plane.base import CommandResult, Power, Rebooted

if TYPE_CHECKING:
    from lab.cloud.account import Account

STDOUT_CHARACTERS = 24_000
STDERR_CHARACTERS = 8_000
POLL_SECONDS = 0.02
DOCUMENT = "AWS-RunShellScript"
EXECUTION_SECONDS = 3600.0
DELIVERY_SECONDS = 3600
ENDED = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})
NO_CODE = -1
AGENT_SAYS = "failed to run commands: exit status "
"""What the agent adds to the errors of a command that failed (amazon-ssm-agent, agent/plugins/runscript/runscript.go)."""
CUT_OFF = "document process failed unexpectedly: document worker timed out"
"""What the agent says, once it runs again, of a command that a reboot ended (agent/framework/processor/executer/outofproc/master.go)."""
PING_SECONDS = 300.0


@dataclass
class Invocation:
    """A command on one machine."""

    instance_id: str
    status: str = "Pending"
    details: str = "Pending"
    code: int = NO_CODE
    stdout: str = ""
    stderr: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    given_up_at: float | None = None
    """When a machine that is gone has had its time."""

    def look(self, now: float) -> None:
        """Bring it up to now."""
        if self.given_up_at is not None and now >= self.given_up_at and self.status not in ENDED:
            self.end("TimedOut", "Execution Timed Out", now)

    def end(self, status: str, details: str, at: float) -> None:
        """Come to an end."""
        self.status, self.details, self.ended_at = status, details, at


@dataclass
class Command:
    """What SendCommand was asked."""

    command_id: str
    script: str
    parameters: dict[str, list[str]]
    comment: str
    delivery_seconds: int
    execution_seconds: float
    requested_at: float
    invocations: dict[str, Invocation]
    cancelled: bool = False

    def status(self) -> str:
        """Of the command as a whole."""
        of_each = {each.status for each in self.invocations.values()}
        for status in ("Pending", "InProgress", "TimedOut", "Failed", "Cancelled"):
            if status in of_each:
                return status if of_each <= ENDED or status != "Pending" or len(of_each) == 1 else "InProgress"
        return "Success"


@dataclass
class Commands:
    """All commands by id, and the machines whose agent has ever been online, with when it was seen there last."""

    commands: dict[str, Command] = field(default_factory=dict)
    registered: dict[str, float] = field(default_factory=dict)


def online(account: Account, row: Row) -> bool:
    """Whether a machine's agent takes commands now. Call with the lock held."""
    if account.machines is None or row.state != "running" or row.running_at is None:
        return False
    if account.clock() < row.running_at + account.delays.agent_seconds or power_of(account, row) is not Power.RUNNING:
        return False
    account.commands.registered[row.id] = account.clock()
    return True


def _registered(account: Account, instance_id: str) -> Row | None:
    row = account.fleet.rows.get(instance_id)
    if row is None or row.state in {"shutting-down", "terminated"}:
        return None
    return row if online(account, row) or instance_id in account.commands.registered else None


@operation("ssm", "SendCommand")
def send_command(account: Account, call: Call) -> Any:
    """Send a script to machines that SSM knows; each runs it as soon as its agent is there, within the delivery time-out."""
    params = call.params
    ids: Sequence[str] = list(dict.fromkeys(params.get("InstanceIds") or []))
    if params.get("DocumentName") != DOCUMENT:
        raise Refused("InvalidDocument", f"The lab has no document {params.get('DocumentName')}.")
    if not 1 <= len(ids) <= 50:
        raise Refused("ValidationException", "Between 1 and 50 instance ids are needed.")
    refresh_all(account)
    if any(_registered(account, each) is None for each in ids):
        raise Refused("InvalidInstanceId", "Instances not in a valid state for account")
    delivery = int(params.get("TimeoutSeconds") or DELIVERY_SECONDS)
    if delivery < 30:
        raise Refused(
            "ValidationException",
            "Value at 'timeoutSeconds' failed to satisfy constraint: Member must have value greater than or equal to 30",
        )
    parameters = params.get("Parameters") or {}
    if not parameters.get("commands"):
        raise Refused("InvalidParameters", "commands is required")
    command = Command(
        command_id=str(uuid.uuid4()),
        script="\n".join(parameters["commands"]),
        parameters=dict(parameters),
        comment=params.get("Comment", ""),
        delivery_seconds=delivery,
        execution_seconds=float((parameters.get("executionTimeout") or [EXECUTION_SECONDS])[0]),
        requested_at=account.clock(),
        invocations={each: Invocation(each) for each in ids},
    )
    account.commands.commands[command.command_id] = command
    for invocation in command.invocations.values():
        account.background(lambda each=invocation: _deliver(account, command, each))  # type: ignore[misc]
    return {"Command": _shown(command)}


def _deliver(account: Account, command: Command, invocation: Invocation) -> None:
    deadline = command.requested_at + command.delivery_seconds
    earliest = command.requested_at + account.delays.delivery_seconds
    while True:
        row = account.fleet.rows.get(invocation.instance_id)
        if row is not None:
            look(account, row)
        with account.lock:
            now = account.clock()
            if invocation.status != "Pending":
                return
            if row is None or refresh(account, row) in {"shutting-down", "terminated"} or now >= deadline:
                invocation.end("TimedOut", "Delivery Timed Out", now)
                return
            if now >= earliest and online(account, row):
                invocation.status = invocation.details = "InProgress"
                invocation.started_at = now
                break
        time.sleep(POLL_SECONDS)
    _execute(account, command, invocation)


def _execute(account: Account, command: Command, invocation: Invocation) -> None:
    assert account.machines is not None
    try:
        result = account.machines.run(invocation.instance_id, command.script, command.execution_seconds)
    except Rebooted:
        _lost(account, command, invocation)
        _cut_off(account, invocation)
        return
    except LookupError:
        _lost(account, command, invocation)
        return
    with account.lock:
        _finish(account, invocation, result)


def _lost(account: Account, command: Command, invocation: Invocation) -> None:
    """A machine that goes away while it runs a command never tells how that ended: the execution time-out does."""
    invocation.given_up_at = account.clock() + command.execution_seconds


def _cut_off(account: Account, invocation: Invocation) -> None:
    """Once a machine that was rebooted has its agent back, that finds the command unfinished, and does not run it again."""
    row = account.fleet.rows.get(invocation.instance_id)
    while row is not None and row.state in LIVE and invocation.status not in ENDED:
        row.seen = None
        look(account, row)
        with account.lock:
            refresh(account, row)
            if online(account, row):
                invocation.stdout, invocation.code = CUT_OFF, 0
                invocation.end("Failed", "Failed", account.clock())
        time.sleep(POLL_SECONDS)


def _finish(account: Account, invocation: Invocation, result: CommandResult) -> None:
    stderr = result.stderr
    if result.exit_code != 0 and not result.timed_out:
        stderr += f"{AGENT_SAYS}{result.exit_code}"
    invocation.stdout, invocation.stderr = result.stdout[:STDOUT_CHARACTERS], stderr[:STDERR_CHARACTERS]
    if result.timed_out:
        invocation.end("TimedOut", "Execution Timed Out", account.clock())
        return
    invocation.code = result.exit_code
    status = "Success" if result.exit_code == 0 else "Failed"
    invocation.end(status, status, account.clock())


def _command(account: Account, command_id: str) -> Command:
    command = account.commands.commands.get(command_id)
    if command is None:
        raise Refused("InvalidCommandId", "The command id is not known")
    return command


@operation("ssm", "GetCommandInvocation")
def get_command_invocation(account: Account, call: Call) -> Any:
    """How a command goes on one machine. `InvocationDoesNotExist` for a moment after it was sent."""
    command = account.commands.commands.get(call.params["CommandId"])
    invocation = command.invocations.get(call.params["InstanceId"]) if command else None
    if command is None or invocation is None or account.clock() < command.requested_at + account.delays.unsaid_seconds:
        raise Refused("InvocationDoesNotExist", "The command ID and managed node ID you specified did not match any invocations.")
    invocation.look(account.clock())
    return {
        "CommandId": command.command_id,
        "InstanceId": invocation.instance_id,
        "Comment": command.comment,
        "DocumentName": DOCUMENT,
        "PluginName": "aws:runShellScript",
        "ResponseCode": invocation.code,
        "ExecutionStartDateTime": _iso(invocation.started_at),
        "ExecutionEndDateTime": _iso(invocation.ended_at),
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        "StandardOutputContent": invocation.stdout,
        "StandardOutputUrl": "",
        "StandardErrorContent": invocation.stderr,
        "StandardErrorUrl": "",
    }


def _iso(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


@operation("ssm", "ListCommandInvocations")
def list_command_invocations(account: Account, call: Call) -> Any:
    """Commands on machines, without their output unless `Details` asks for it."""
    params = call.params
    found = [
        (command, invocation)
        for command in account.commands.commands.values()
        for invocation in command.invocations.values()
        if params.get("CommandId") in {None, command.command_id} and params.get("InstanceId") in {None, invocation.instance_id}
    ]
    shown, token = page(found, params, key=lambda pair: f"{pair[0].command_id}:{pair[1].instance_id}", most=50)
    details = bool(params.get("Details"))
    for _, each in shown:
        each.look(account.clock())
    return {"CommandInvocations": [_invocation(command, each, details=details) for command, each in shown], "NextToken": token}


def _invocation(command: Command, invocation: Invocation, *, details: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "CommandId": command.command_id,
        "InstanceId": invocation.instance_id,
        "Comment": command.comment,
        "DocumentName": DOCUMENT,
        "RequestedDateTime": moment(command.requested_at),
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        "CommandPlugins": [],
    }
    if details:
        output = invocation.stdout + (f"\n----------ERROR-------\n{invocation.stderr}" if invocation.stderr else "")
        shown["CommandPlugins"] = [
            {
                "Name": "aws:runShellScript",
                "Status": invocation.status,
                "StatusDetails": invocation.details,
                "ResponseCode": invocation.code,
                "Output": output[:2500],
            }
        ]
    return shown


@operation("ssm", "ListCommands")
def list_commands(account: Account, call: Call) -> Any:
    """Commands, with their text: it stays readable."""
    params = call.params
    found = [
        command
        for command in account.commands.commands.values()
        if params.get("CommandId") in {None, command.command_id}
        and (params.get("InstanceId") is None or params["InstanceId"] in command.invocations)
    ]
    shown, token = page(found, params, key=lambda command: command.command_id, most=50)
    return {"Commands": [_shown(command) for command in shown], "NextToken": token}


def _shown(command: Command) -> dict[str, Any]:
    states = [each.status for each in command.invocations.values()]
    status = command.status()
    return {
        "CommandId": command.command_id,
        "DocumentName": DOCUMENT,
        "Comment": command.comment,
        "Parameters": command.parameters,
        "InstanceIds": list(command.invocations),
        "RequestedDateTime": moment(command.requested_at),
        "ExpiresAfter": moment(command.requested_at + command.delivery_seconds),
        "Status": status,
        "StatusDetails": status,
        "TimeoutSeconds": command.delivery_seconds,
        "TargetCount": len(states),
        "CompletedCount": sum(each in ENDED for each in states),
        "ErrorCount": sum(each in {"Failed", "TimedOut"} for each in states),
    }


@operation("ssm", "CancelCommand")
def cancel_command(account: Account, call: Call) -> Any:
    """Take back a command where it has not begun; one that runs already goes on."""
    command = _command(account, call.params["CommandId"])
    for each in call.params.get("InstanceIds") or command.invocations:
        if command.invocations[each].status == "Pending":
            command.invocations[each].end("Cancelled", "Cancelled", account.clock())
    return {}


@operation("ssm", "DescribeInstanceInformation")
def describe_instance_information(account: Account, call: Call) -> Any:
    """Machines whose agent has been online, at their last ping."""
    refresh_all(account)
    known = [row for row in account.fleet.rows.values() if _registered(account, row.id)]
    for each in call.params.get("Filters") or []:
        if each["Key"] == "InstanceIds":
            known = [row for row in known if row.id in each["Values"]]
        elif each["Key"] == "PingStatus":
            known = [row for row in known if _ping(account, row) in each["Values"]]
        else:
            raise Refused("InvalidInstanceInformationFilterValue", f"The lab has no filter {each['Key']}.")
    shown, token = page(known, call.params, key=lambda row: row.id, most=50)
    return {"InstanceInformationList": [_information(account, row) for row in shown], "NextToken": token}


def _ping(account: Account, row: Row) -> str:
    """The agent pings every five minutes, so a machine that died is `Online` for as long."""
    if online(account, row) or account.clock() < account.commands.registered[row.id] + PING_SECONDS:
        return "Online"
    return "ConnectionLost"


def _information(account: Account, row: Row) -> dict[str, Any]:
    return {
        "InstanceId": row.id,
        "PingStatus": _ping(account, row),
        "LastPingDateTime": moment(account.commands.registered[row.id]),
        "AgentVersion": "3.3.0.0",
        "PlatformType": "Linux",
        "PlatformName": "Amazon Linux",
        "ResourceType": "EC2Instance",
        "IPAddress": row.instance.private_ip,
    }
