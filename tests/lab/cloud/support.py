from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from lab.cloud.server import LabCloud
from lab.plane.base import CommandResult, MachineOrder, Power, Rebooted
from tests.support.waiting import PATIENCE_SECONDS

IMAGE = "ami-0abcdef1234567890"


@dataclass
class ShellMachine:
    order: MachineOrder
    address: str
    power: Power = Power.RUNNING
    boots: int = 0
    """How often it was rebooted."""


@dataclass
class ShellMachines:
    """Machines that are this computer's shell, and disks that are names: enough to see what the API asks of a data plane."""

    machines: dict[str, ShellMachine] = field(default_factory=dict)
    disks: dict[str, str | None] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    """Disks that are mounted."""
    first_power: Power = Power.RUNNING
    """Of machines right after their launch."""
    broken: bool = False
    lock: Lock = field(default_factory=Lock)

    def launch(self, order: MachineOrder) -> str:
        if self.broken:
            raise OSError("no room")
        with self.lock:
            address = f"127.9.0.{len(self.machines) + 1}"
            self.machines[order.instance_id] = ShellMachine(order, address, self.first_power)
            self.disks.update({volume_id: order.instance_id for volume_id, _ in order.volumes.values()})
        return address

    def power(self, instance_id: str) -> Power:
        machine = self.machines.get(instance_id)
        return machine.power if machine else Power.GONE

    def stop(self, instance_id: str) -> None:
        self.machines[instance_id].power = Power.STOPPED

    def start(self, instance_id: str) -> None:
        self.machines[instance_id].power = Power.RUNNING

    def reboot(self, instance_id: str) -> None:
        self.machines[instance_id].boots += 1

    def terminate(self, instance_id: str) -> None:
        self.machines[instance_id].power = Power.GONE
        self.disks.update({volume_id: None for volume_id, at in self.disks.items() if at == instance_id})

    def run(self, instance_id: str, script: str, timeout_seconds: float) -> CommandResult:
        if self.power(instance_id) is not Power.RUNNING:
            raise LookupError(instance_id)
        boots = self.machines[instance_id].boots
        try:
            done = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        except subprocess.TimeoutExpired:
            return CommandResult(-1, "", "", timed_out=True)
        if self.machines[instance_id].boots != boots:
            raise Rebooted(instance_id)
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def attach(self, instance_id: str, device: str, volume_id: str) -> None:
        del device
        self.disks[volume_id] = instance_id

    def detach(self, volume_id: str, *, force: bool = False) -> bool:
        if volume_id in self.held and not force:
            return False
        self.disks[volume_id] = None
        return True

    def create_volume(self, volume_id: str, size_gib: int) -> None:
        del size_gib
        self.disks[volume_id] = None

    def delete_volume(self, volume_id: str) -> None:
        del self.disks[volume_id]

    def close(self) -> None:
        self.machines.clear()


@dataclass
class Site:
    """An account with a network of two zones, a load balancer with a listener, a role and a launch template."""

    cloud: LabCloud
    machines: ShellMachines
    client: Callable[..., Any]
    now: list[float]
    vpc_id: str = ""
    subnets: dict[str, str] = field(default_factory=dict)
    group_id: str = ""
    template_id: str = ""
    """For launches by hand: on Spot, in a subnet."""
    fleet_template_id: str = ""
    balancer_arn: str = ""
    listener_arn: str = ""

    def template(self, name: str, data: dict[str, Any]) -> str:
        made = self.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def pass_time(self, seconds: float) -> None:
        self.now[0] += seconds

    def launch(self, count: int = 1, **asked: Any) -> list[str]:
        asked = {"LaunchTemplate": {"LaunchTemplateId": self.template_id}, "MinCount": count, "MaxCount": count, **asked}
        return [each["InstanceId"] for each in self.client("ec2").run_instances(**asked)["Instances"]]

    def instance(self, instance_id: str) -> Any:
        found = self.client("ec2").describe_instances(InstanceIds=[instance_id])
        return found["Reservations"][0]["Instances"][0]

    def power(self, instance_id: str, power: Power) -> None:
        """Have a machine's power be otherwise, and the account know at once."""
        self.machines.machines[instance_id].power = power
        self.cloud.fleet.rows[instance_id].seen = None

    def state(self, instance_id: str) -> str:
        return str(self.instance(instance_id)["State"]["Name"])

    def command(self, instance_id: str, script: str, **asked: Any) -> str:
        sent = self.client("ssm").send_command(
            InstanceIds=[instance_id], DocumentName="AWS-RunShellScript", Parameters={"commands": script.splitlines()}, **asked
        )
        return str(sent["Command"]["CommandId"])

    def invocation(self, command_id: str, instance_id: str) -> Any:
        return self.client("ssm").get_command_invocation(CommandId=command_id, InstanceId=instance_id)

    def ended(self, command_id: str, instance_id: str) -> Any:
        return until(lambda: self.invocation(command_id, instance_id), lambda found: found["Status"] not in {"Pending", "InProgress"})

    def push(self, repository: str, number: int, tag: str | None) -> None:
        """An image like no other."""
        layers = [{"digest": f"sha256:{number:064x}"}]
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": layers, "number": number}
        self.client("ecr").put_image(
            repositoryName=repository, imageManifest=json.dumps(manifest), **({} if tag is None else {"imageTag": tag})
        )

    def target_group(self, name: str, **asked: Any) -> str:
        made = self.client("elbv2").create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=self.vpc_id, **asked)
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def rule(self, priority: int, group_arn: str, path: str = "/x/*") -> str:
        made = self.client("elbv2").create_rule(
            ListenerArn=self.listener_arn,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "Values": [path]}],
            Actions=[{"Type": "forward", "TargetGroupArn": group_arn}],
        )
        return str(made["Rules"][0]["RuleArn"])


def until(ask: Callable[[], Any], enough: Callable[[Any], bool], seconds: float = PATIENCE_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not enough(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found
