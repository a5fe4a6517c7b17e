"""What the simulated platform would have counted of itself: how long steps took, and its calls to AWS."""

from __future__ import annotations

import random

from openclaw_hosted.domain.history import Bucket
from openclaw_hosted.domain.instance import StepName
from openclaw_hosted.domain.measures import Calls, lasted

LOOKS = {"ec2:DescribeInstances": 8, "elbv2:DescribeTargetHealth": 8, "ssm:DescribeInstanceInformation": 2, "sqs:ReceiveMessage": 3}
"""Each minute, whatever happens."""
OF_A_PLACEMENT = (
    "secretsmanager:CreateSecret", "secretsmanager:PutSecretValue", "secretsmanager:TagResource", "ssm:SendCommand",
    "ssm:GetCommandInvocation", "elbv2:CreateRule", "ec2:CreateTags", "elbv2:RegisterTargets",
)  # fmt: skip
OF_A_LAUNCH = ("ec2:CreateFleet", "ec2:CreateVolume", "ec2:AttachVolume", "elbv2:CreateTargetGroup")
SHARES = {StepName.SECRET: 0.05, StepName.VOLUME: 0.2, StepName.GATEWAY: 0.6, StepName.TARGET: 0.15}
"""Of the time that a placement takes from a machine on."""


def placed(chance: random.Random, seconds: float, waited: float | None, *, is_move: bool) -> Bucket:
    """One placement, which took so long from the machine on; for one that waited for its machine, with how long that was."""
    steps = {step: lasted(seconds * share * chance.uniform(0.7, 1.3)) for step, share in SHARES.items()}
    steps |= {StepName.ROUTE: lasted(chance.uniform(0.1, 0.6)), StepName.PROBE: lasted(chance.uniform(0.02, 0.3))}
    steps |= {StepName.LABEL: lasted(chance.uniform(0.1, 0.3))}
    if waited is not None:
        steps[StepName.MACHINE] = lasted(waited)
    if is_move:
        steps |= {StepName.CLEAR: lasted(chance.uniform(1, 4)), StepName.STOP: lasted(chance.uniform(2, 9))}
    return Bucket(steps=steps, calls=dict.fromkeys(OF_A_PLACEMENT, Calls(1)))


def launched(*, is_refused: bool) -> Bucket:
    """One launch."""
    return Bucket(calls={"ec2:CreateFleet": Calls(1, 1)} if is_refused else dict.fromkeys(OF_A_LAUNCH, Calls(1)))


def looked(chance: random.Random, seconds: float, *, is_short: bool) -> Bucket:
    """So long a time; where no machine can be had, the platform asks again and again, and is throttled."""
    minutes = seconds / 60
    calls = {name: Calls(round(times * minutes)) for name, times in LOOKS.items()}
    if is_short:
        asked = round(6 * minutes)
        calls["ec2:CreateFleet"] = Calls(asked, asked - asked // 6, asked // 6)
    elif chance.random() < 0.002 * minutes:
        calls["elbv2:DescribeTargetHealth"] = calls["elbv2:DescribeTargetHealth"].plus(Calls(2, throttled=2))
    return Bucket(calls=calls)
