"""How long the emulated API and the things behind it take."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one operation takes to answer, and how that is known."""

    seconds: float
    source: str = ASSUMED


DEFAULT = Latency(0.08)
"""For operations that the table does not name."""

TABLE: Mapping[str, Latency] = {
    "ec2:RunInstances": Latency(1.5),
    "ec2:CreateFleet": Latency(2.5),
    "ec2:DescribeInstances": Latency(0.2),
    "ec2:TerminateInstances": Latency(0.4),
    "ec2:CreateTags": Latency(0.2),
    "ec2:AttachVolume": Latency(0.3),
    "ec2:DetachVolume": Latency(0.3),
    "ec2:CreateVolume": Latency(0.3),
    "ssm:SendCommand": Latency(0.15),
    "ssm:GetCommandInvocation": Latency(0.06),
    "elasticloadbalancing:CreateTargetGroup": Latency(0.2),
    "elasticloadbalancing:CreateRule": Latency(0.2),
    "elasticloadbalancing:RegisterTargets": Latency(0.1),
    "secretsmanager:CreateSecret": Latency(0.12),
    "secretsmanager:GetSecretValue": Latency(0.05),
    "sqs:ReceiveMessage": Latency(0.0, "its own waiting time is its latency"),
}
"""By IAM action. None of these was measured: they are guesses at a quiet region, for the shape of a test."""


@dataclass
class Latencies:
    """What each call waits before it takes effect. `scale` 0 makes all of them nothing."""

    scale: float = 0.0
    table: dict[str, Latency] = field(default_factory=lambda: dict(TABLE))
    default: Latency = DEFAULT

    def seconds(self, action: str) -> float:
        """For an action such as `ec2:RunInstances`."""
        return self.table.get(action, self.default).seconds * self.scale

    def wait(self, action: str) -> None:
        """Sleep for as long as the action takes."""
        seconds = self.seconds(action)
        if seconds > 0:
            time.sleep(seconds)


@dataclass
class Delays:
    """How long the things behind the API take, in seconds of the account's clock; all of them nothing unless set."""

    boot_seconds: float = 0.0
    """From launch to `running`, where machines are rows only, and for the data plane's machines to run their user data."""
    stop_seconds: float = 0.0
    """From StopInstances to `stopped`, and from TerminateInstances to `terminated`."""
    remembered_seconds: float = 3600.0
    """How long a terminated machine is still listed."""
    unknown_seconds: float = 0.0
    """How long a new machine's id is `InvalidInstanceID.NotFound`."""
    unlisted_seconds: float = 0.0
    """How long a new machine is missing from lists and from what filters find."""
    agent_seconds: float = 0.0
    """From `running` to an SSM agent that is online."""
    unsaid_seconds: float = 0.0
    """How long after SendCommand an invocation does not exist yet."""
    delivery_seconds: float = 0.0
    """How late commands reach a machine that is online."""
    attach_seconds: float = 0.0
    """How long a volume is `attaching`, or `detaching`, over what the data plane takes."""
    snapshot_seconds: float = 0.0
    """How long a snapshot is `pending`."""
    rule_seconds: tuple[float, float] = (0.0, 0.0)
    """From when to when a listener's rule that was made, changed or deleted is in force; each at random."""
    notice_seconds: float = 120.0
    """From a Spot interruption's notice to the end of the machine."""

    @classmethod
    def real(cls) -> Delays:
        """About what AWS takes. Booting is from a public measurement of 2026; the others are assumed."""
        return cls(
            boot_seconds=16.0, stop_seconds=60.0, unlisted_seconds=1.0, agent_seconds=20.0, unsaid_seconds=0.3, attach_seconds=3.0,
            rule_seconds=(1.0, 20.0),
        )  # fmt: skip
