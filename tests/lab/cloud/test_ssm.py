"""What Run Command does on AWS, and bare moto does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from lab.cloud.ssm import CUT_OFF
from lab.plane.base import CommandResult, Power
from tests.lab.cloud.support import Site, until


def running(site: Site) -> str:
    (instance_id,) = site.launch()
    assert site.state(instance_id) == "running"
    return instance_id


def test_a_command_runs_on_the_machine_and_tells_its_exit_code_and_output(site: Site) -> None:
    instance_id = running(site)
    command_id = site.command(instance_id, "echo out\necho err >&2\nexit 7")
    found = site.ended(command_id, instance_id)
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("Failed", "Failed", 7)
    assert (found["StandardOutputContent"], found["StandardErrorContent"]) == (
        "out\n",
        "err\nfailed to run commands: exit status 7",
    )
    assert site.ended(site.command(instance_id, "true"), instance_id)["Status"] == "Success"


def test_output_is_cut_at_24000_characters_and_errors_at_8000(site: Site) -> None:
    instance_id = running(site)
    found = site.ended(site.command(instance_id, "printf '%30000s' x\nprintf '%9000s' y >&2"), instance_id)
    assert len(found["StandardOutputContent"]) == 24_000
    assert len(found["StandardErrorContent"]) == 8_000


def test_a_command_past_its_execution_time_out_is_ended(site: Site) -> None:
    instance_id = running(site)
    sent = site.client("ssm").send_command(
        InstanceIds=[instance_id], DocumentName="AWS-RunShellScript", Parameters={"commands": ["sleep 9"], "executionTimeout": ["1"]}
    )
    found = site.ended(sent["Command"]["CommandId"], instance_id)
    assert (found["Status"], found["StatusDetails"]) == ("TimedOut", "Execution Timed Out")


def test_a_machine_that_ssm_never_saw_is_refused(site: Site) -> None:
    site.cloud.delays.agent_seconds = 20
    instance_id = running(site)
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        site.command(instance_id, "true")
    assert site.client("ssm").describe_instance_information()["InstanceInformationList"] == []
    site.pass_time(21)
    (known,) = site.client("ssm").describe_instance_information()["InstanceInformationList"]
    assert (known["InstanceId"], known["PingStatus"]) == (instance_id, "Online")


def test_an_invocation_does_not_exist_for_a_moment_after_it_was_sent(site: Site) -> None:
    site.cloud.delays.unsaid_seconds = 1
    instance_id = running(site)
    command_id = site.command(instance_id, "true")
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        site.invocation(command_id, instance_id)
    site.pass_time(1)
    assert site.ended(command_id, instance_id)["Status"] == "Success"


def test_a_command_that_a_reboot_ended_has_failed_once_the_agent_is_back_and_is_not_run_again(site: Site, tmp_path: Path) -> None:
    instance_id = running(site)
    script = f"echo run >>{tmp_path}/runs\nuntil test -e {tmp_path}/over; do sleep 0.02; done"
    command_id = site.command(instance_id, script)
    until((tmp_path / "runs").exists, bool)
    site.client("ec2").reboot_instances(InstanceIds=[instance_id])
    until(lambda: site.machines.machines[instance_id].boots, bool)
    site.power(instance_id, Power.BOOTING)
    (tmp_path / "over").touch()
    assert site.invocation(command_id, instance_id)["Status"] == "InProgress"
    assert site.state(instance_id) == "running"
    site.power(instance_id, Power.RUNNING)
    found = site.ended(command_id, instance_id)
    assert (found["Status"], found["StandardOutputContent"]) == ("Failed", CUT_OFF)
    assert (tmp_path / "runs").read_text() == "run\n"


def test_a_machine_that_is_offline_gets_the_command_when_it_comes_back(site: Site) -> None:
    instance_id = running(site)
    site.client("ssm").describe_instance_information()
    site.power(instance_id, Power.STOPPED)
    command_id = site.command(instance_id, "echo late")
    assert site.invocation(command_id, instance_id)["Status"] == "Pending"
    (known,) = site.client("ssm").describe_instance_information()["InstanceInformationList"]
    assert known["PingStatus"] == "Online", "the agent pings every five minutes only"
    assert site.state(instance_id) == "stopped"
    site.pass_time(10)
    site.client("ec2").start_instances(InstanceIds=[instance_id])
    until(lambda: site.state(instance_id), lambda state: state == "running")
    assert site.ended(command_id, instance_id)["StandardOutputContent"] == "late\n"


def test_a_machine_that_goes_away_while_it_runs_a_command_never_tells_how_that_ended(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    instance_id = running(site)

    def gone(*_: object) -> CommandResult:
        raise LookupError(instance_id)

    monkeypatch.setattr(site.machines, "run", gone)
    sent = site.client("ssm").send_command(
        InstanceIds=[instance_id], DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"], "executionTimeout": ["900"]}
    )
    command_id = str(sent["Command"]["CommandId"])
    until(lambda: site.invocation(command_id, instance_id)["Status"], lambda status: status == "InProgress")
    site.client("ec2").terminate_instances(InstanceIds=[instance_id])
    site.cloud.settle()
    assert site.state(instance_id) == "terminated"
    assert site.invocation(command_id, instance_id)["Status"] == "InProgress"
    site.pass_time(900)
    found = site.invocation(command_id, instance_id)
    assert (found["Status"], found["StatusDetails"]) == ("TimedOut", "Execution Timed Out")


def test_a_command_that_is_not_delivered_in_time_is_never_run(site: Site) -> None:
    instance_id = running(site)
    site.client("ssm").describe_instance_information()
    site.power(instance_id, Power.STOPPED)
    command_id = site.command(instance_id, "true", TimeoutSeconds=30)
    site.pass_time(31)
    found = site.ended(command_id, instance_id)
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("TimedOut", "Delivery Timed Out", -1)


def test_commands_may_reach_a_machine_late(site: Site) -> None:
    site.cloud.delays.delivery_seconds = 15
    instance_id = running(site)
    command_id = site.command(instance_id, "true")
    assert site.invocation(command_id, instance_id)["Status"] == "Pending"
    site.pass_time(15)
    assert site.ended(command_id, instance_id)["Status"] == "Success"


def test_a_command_that_waits_can_be_cancelled(site: Site) -> None:
    site.cloud.delays.delivery_seconds = 15
    instance_id = running(site)
    command_id = site.command(instance_id, "true")
    site.client("ssm").cancel_command(CommandId=command_id)
    assert site.invocation(command_id, instance_id)["Status"] == "Cancelled"


def test_commands_and_their_invocations_are_listed_in_pages(site: Site) -> None:
    instance_id = running(site)
    sent = [site.command(instance_id, f"echo {number}") for number in range(3)]
    for each in sent:
        site.ended(each, instance_id)
    ssm = site.client("ssm")
    assert [each["CommandId"] for each in ssm.list_commands(InstanceId=instance_id)["Commands"]] == sent
    first = ssm.list_command_invocations(InstanceId=instance_id, MaxResults=2)
    rest = ssm.list_command_invocations(InstanceId=instance_id, MaxResults=2, NextToken=first["NextToken"])
    assert [each["CommandId"] for page in (first, rest) for each in page["CommandInvocations"]] == sent
    (detailed,) = ssm.list_command_invocations(CommandId=sent[1], Details=True)["CommandInvocations"]
    assert detailed["CommandPlugins"][0]["Output"] == "1\n"
    assert ssm.list_commands(CommandId=sent[0])["Commands"][0]["Parameters"]["commands"] == ["echo 0"]


def test_at_most_fifty_machines_take_one_command_and_delivery_waits_thirty_seconds_at_least(site: Site) -> None:
    ids = site.launch(51)
    ssm = site.client("ssm")
    with pytest.raises(ClientError, match="ValidationException"):
        ssm.send_command(InstanceIds=ids, DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]})
