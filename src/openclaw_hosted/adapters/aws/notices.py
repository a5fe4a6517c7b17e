"""Notices: what EventBridge puts into the queue that Terraform makes (terraform/events.tf).

Messages are foreign until they are read: whoever may write to the queue chooses what they hold. What is no event of EC2 or AWS Health in
this account and region says nothing. Which machines are ours is for the caller to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.adapters.aws.vault import Place
from openclaw_hosted.domain.foreign import foreign_object
from openclaw_hosted.domain.notice import Notice, NoticeKind
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.notices import Delivery

log = structlog.get_logger("notices")
MOST_AT_ONCE: Final = 10
"""SQS hands out no more."""
WAIT_SECONDS: Final = 8
"""How long SQS waits for a message: well within what the SDK waits for an answer, and a loop's turn lasts."""
MESSAGE_BYTES: Final = 262_144
"""What EventBridge takes, and so as long as an event can be."""
REF_LENGTH: Final = 40
KINDS: Final[Mapping[tuple[str, str], NoticeKind]] = {
    ("aws.ec2", "EC2 Spot Instance Interruption Warning"): NoticeKind.INTERRUPTION,
    ("aws.ec2", "EC2 Instance Rebalance Recommendation"): NoticeKind.REBALANCE,
    ("aws.ec2", "EC2 Instance State-change Notification"): NoticeKind.ENDED,
    ("aws.health", "AWS Health Event"): NoticeKind.MAINTENANCE,
}
"""By an event's source and type (EC2 User Guide; AWS Health User Guide, Reference for AWS Health events)."""
ENDED_STATES: Final = frozenset({"shutting-down", "terminated"})
"""A stopped machine is started again by liveness."""


class AwsNotices:
    """`Notices` of an SQS queue. A message that is not deleted comes again after the queue's visibility time-out."""

    def __init__(self, sdk: Sdk, clock: Clock, place: Place, queue_url: str) -> None:
        self._sdk = sdk
        self._clock = clock
        self._place = place
        self._queue_url = queue_url

    async def receive(self) -> Sequence[Delivery]:
        """What there is; see the port."""
        answer = await self._sdk.call(
            Call.RECEIVE_MESSAGES, QueueUrl=self._queue_url, MaxNumberOfMessages=MOST_AT_ONCE, WaitTimeSeconds=WAIT_SECONDS
        )
        return [self._delivery(message) for message in answer.get("Messages", ())]

    async def confirm(self, receipts: Sequence[str]) -> None:
        """Delete these messages."""
        calls = (self._sdk.call(Call.DELETE_MESSAGE, QueueUrl=self._queue_url, ReceiptHandle=receipt) for receipt in receipts)
        await asyncio.gather(*calls)

    def _delivery(self, message: Mapping[str, Any]) -> Delivery:
        notice = read_event(str(message.get("Body", "")), self._place, self._clock.now())
        if notice is None:
            log.debug("message says nothing of a machine's end", message=message.get("MessageId"))
        return Delivery(str(message["ReceiptHandle"]), notice)


def read_event(body: str, place: Place, now: float) -> Notice | None:
    """What an event of EventBridge says of a machine's end; None where it says nothing of one, or is not of this account and region."""
    event = foreign_object(body, MESSAGE_BYTES)
    if event is None or (event.get("account"), event.get("region")) != (place.account, place.region):
        return None
    kind = KINDS.get((str(event.get("source")), str(event.get("detail-type"))))
    detail = event.get("detail")
    if kind is None or not isinstance(detail, dict):
        return None
    ref = _scheduled_for(detail) if kind is NoticeKind.MAINTENANCE else detail.get("instance-id")
    if not isinstance(ref, str) or not 0 < len(ref) <= REF_LENGTH:
        return None
    if kind is NoticeKind.ENDED and str(detail.get("state")) not in ENDED_STATES:
        return None
    return Notice(kind, ref, _given_at(event, now))


def _scheduled_for(detail: Mapping[str, Any]) -> object:
    """The machine for which AWS Health has scheduled a change. An event of EC2 names one; the others have events of their own."""
    if (detail.get("service"), detail.get("eventTypeCategory")) != ("EC2", "scheduledChange"):
        return None
    entities = detail.get("affectedEntities")
    first = entities[0] if isinstance(entities, list) and entities else None
    return first.get("entityValue") if isinstance(first, dict) else None


def _given_at(event: Mapping[str, Any], now: float) -> float:
    """When it was said, no later than now."""
    try:
        return min(now, datetime.fromisoformat(str(event.get("time"))).timestamp())
    except (ValueError, OverflowError):
        return now
