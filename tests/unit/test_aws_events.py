"""What EventBridge's messages say, in the shapes that AWS documents, and what strangers' messages do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openclaw_hosted.adapters.aws.notices import MESSAGE_BYTES, read_event
from openclaw_hosted.adapters.aws.vault import Place
from openclaw_hosted.domain.notice import Notice, NoticeKind

PLACE = Place("aws", "us-west-2", "123456789012")
AT = 1_800_000_000.0
NOW = AT + 3.0
REF = "i-0123456789abcdef0"
ENVELOPE = {
    "version": "0", "id": "12345678-1234-1234-1234-123456789012", "account": "123456789012", "time": "2027-01-15T08:00:00Z",
    "region": "us-west-2", "resources": [f"arn:aws:ec2:us-west-2:123456789012:instance/{REF}"],
}  # fmt: skip
INTERRUPTION: dict[str, Any] = {
    **ENVELOPE, "source": "aws.ec2", "detail-type": "EC2 Spot Instance Interruption Warning",
    "detail": {"instance-id": REF, "instance-action": "terminate"},
}  # fmt: skip
REBALANCE: dict[str, Any] = {
    **ENVELOPE,
    "source": "aws.ec2",
    "detail-type": "EC2 Instance Rebalance Recommendation",
    "detail": {"instance-id": REF},
}
MAINTENANCE: dict[str, Any] = {
    **ENVELOPE, "source": "aws.health", "detail-type": "AWS Health Event",
    "detail": {
        "eventArn": "arn:aws:health:us-west-2::event/EC2/AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED/x", "service": "EC2",
        "eventTypeCode": "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", "eventTypeCategory": "scheduledChange",
        "startTime": "Fri, 29 Jan 2027 08:00:00 GMT", "affectedEntities": [{"entityValue": REF}],
    },
}  # fmt: skip


def state_change(state: str) -> dict[str, Any]:
    detail = {"instance-id": REF, "state": state}
    return {**ENVELOPE, "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": detail}


def read(event: object) -> Notice | None:
    return read_event(event if isinstance(event, str) else json.dumps(event), PLACE, NOW)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (INTERRUPTION, NoticeKind.INTERRUPTION),
        (REBALANCE, NoticeKind.REBALANCE),
        (MAINTENANCE, NoticeKind.MAINTENANCE),
        (state_change("shutting-down"), NoticeKind.ENDED),
        (state_change("terminated"), NoticeKind.ENDED),
    ],
)
def test_each_event_of_a_machines_end_is_a_notice(event: dict[str, Any], kind: NoticeKind) -> None:
    assert read(event) == Notice(kind, REF, AT)
    assert read({**event, "unknown": {"to": ["us"]}, "detail": {**event["detail"], "more": [1, 2, {}]}}) == Notice(kind, REF, AT)


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped", "", None, ["terminated"], {}])
def test_other_changes_of_state_say_nothing(state: str) -> None:
    assert read(state_change(state)) is None


@pytest.mark.parametrize(
    "event",
    [
        "", "nonsense", "[]", "7", "null", "[" * 100_000, '{"detail":' * 5_000, "\\ud800", '"' + "a" * MESSAGE_BYTES, {},
        {**INTERRUPTION, "account": "999999999999"},
        {**INTERRUPTION, "region": "eu-central-1"},
        {**INTERRUPTION, "source": "com.example"},
        {**INTERRUPTION, "source": ["aws.ec2"]},
        {**INTERRUPTION, "detail-type": "Something else"},
        {**INTERRUPTION, "detail": None},
        {**INTERRUPTION, "detail": "terminate"},
        {**INTERRUPTION, "detail": {}},
        {**INTERRUPTION, "detail": {"instance-id": {"i": 1}}},
        {**INTERRUPTION, "detail": {"instance-id": ""}},
        {**INTERRUPTION, "detail": {"instance-id": "i-" + "0" * 1000}},
        {**INTERRUPTION, "padding": "x" * MESSAGE_BYTES},
        {**MAINTENANCE, "detail": {**MAINTENANCE["detail"], "service": "RDS"}},
        {**MAINTENANCE, "detail": {**MAINTENANCE["detail"], "eventTypeCategory": "issue"}},
        {**MAINTENANCE, "detail": {**MAINTENANCE["detail"], "affectedEntities": []}},
        {**MAINTENANCE, "detail": {**MAINTENANCE["detail"], "affectedEntities": "i-1"}},
        {**MAINTENANCE, "detail": {**MAINTENANCE["detail"], "affectedEntities": [REF]}},
        {**REBALANCE, "source": "aws.health"},
    ],
)  # fmt: skip
def test_what_is_no_event_of_this_account_about_a_machine_says_nothing(event: object) -> None:
    assert read(event) is None


@pytest.mark.parametrize("time", [None, "", "soon", "2999-01-01T00:00:00Z", 7, {}])
def test_a_time_that_is_missing_strange_or_to_come_is_now(time: object) -> None:
    assert read({**INTERRUPTION, "time": time}) == Notice(NoticeKind.INTERRUPTION, REF, NOW)
