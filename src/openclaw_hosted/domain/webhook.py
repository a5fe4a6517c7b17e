"""Webhooks: addresses that are told what happens to instances, and the messages that they get (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NewType

from openclaw_hosted.domain.alarms import AlarmNews, Told, alarm_named
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import UserId

WebhookId = NewType("WebhookId", str)

WEBHOOKS_PER_USER: Final = 10
DELIVERIES_KEPT: Final = 100
"""The newest of each webhook."""
RETRY_BASE_SECONDS: Final = 5.0
RETRY_CAP_SECONDS: Final = 600.0
DISABLED_AFTER_SECONDS: Final = 3 * 86_400.0
"""Of failures alone."""
GONE: Final = 410
"""How a receiver says that it wants no more."""
SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = (24, 64)
"""Of a secret, at least and at most."""
TEST_TYPE: Final = "webhook.test"
ALARM_TEST_TYPE: Final = "alarm.test"
SUBJECTS: Final = ("instance", "restore_point", "archive", "machine", "gateway", "loop")
"""What an event that concerns an instance may be of."""
TELLABLE: Final = frozenset(name for name in EventName if name.partition(".")[0] in SUBJECTS)
"""The events that a webhook may be limited to."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told. `names` limits the events; empty for all. `cursor` is the id of the last event that was dealt with."""

    id: WebhookId
    owner_id: UserId
    url: str
    created_at: float
    names: frozenset[EventName] = frozenset()
    all_instances: bool = False
    """Whether it is told of everybody's instances; an admin's alone."""
    cursor: int = 0
    failing_since: float | None = None
    """When the first failure came after the last success."""
    disabled_at: float | None = None
    attempts: int = 0
    """Failures in a row."""
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of sending a message: the status that was answered, or why there was none."""

    status: int | None
    seconds: float
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def problem(self) -> str | None:
        """What went wrong, in words."""
        if self.ok:
            return None
        return self.error or f"The address answered {self.status}."


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to tell. `event_id` is None for a test."""

    message_id: str
    event_id: int | None
    type: str
    at: float
    attempt: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. The same event has the same id, whenever it is sent again."""

    id: str
    type: str
    event_id: int | None
    body: bytes


def new_secret(token: str) -> str:
    """The secret that `token`, 256 bits as they are safe in URLs, stands for."""
    return SECRET_PREFIX + base64.b64encode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))).decode()


def message_of(webhook: Webhook, event: Event, data: Mapping[str, Any]) -> Message:
    """The message about an event. Its id tells the moment as well: a database that was set back gives ids of events a second time."""
    assert event.id is not None
    return Message(f"{webhook.id}-{event.id}-{int(event.at)}", event.name, event.id, _body(event.name, event.at, data))


def trial_message(webhook: Webhook, now: float, nonce: str) -> Message:
    """A message that says only that messages arrive."""
    return Message(f"{webhook.id}-test-{nonce}", TEST_TYPE, None, _body(TEST_TYPE, now, {"webhook_id": webhook.id}))


def alarm_message(news: AlarmNews, now: float) -> Message:
    """An alarm for programs and people. Sent again, the same beginning or end has the same id."""
    state, alarm = news.state, alarm_named(news.alarm)
    if state is None or alarm is None:
        return Message(f"alarm-test-{int(now * 1000)}", ALARM_TEST_TYPE, None, _body(ALARM_TEST_TYPE, now, {"text": news.text}))
    kind = f"alarm.{news.happened}"
    at = state.ended_at if news.happened is Told.ENDED else state.began_at
    data = {
        "alarm": alarm.name,
        "what": alarm.what,
        "began_at": _moment(state.began_at),
        "ended_at": _moment(state.ended_at),
        "value": state.value,
        "about": state.about,
        "runbook": alarm.runbook,
        "subject": news.subject,
        "text": news.text,
    }
    return Message(f"alarm-{alarm.name}-{int(state.began_at or now)}-{news.happened}", kind, None, _body(kind, at or now, data))


def is_secret(text: str) -> bool:
    """Whether it is a secret as the standard wants it: 24 to 64 bytes in base64, after `whsec_`."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        return False
    return text.startswith(SECRET_PREFIX) and SECRET_BYTES[0] <= len(key) <= SECRET_BYTES[1]


def headers_of(message: Message, secret: str, now: float) -> dict[str, str]:
    """What goes with the body: id, moment, and the signature of all three."""
    moment = str(int(now))
    return {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{signature(secret, message.id, moment, message.body)}",
    }


def signature(secret: str, message_id: str, moment: str, body: bytes) -> str:
    """HMAC-SHA256 in base64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.digest(key, b".".join((message_id.encode(), moment.encode(), body)), hashlib.sha256)).decode()


def retry_after(attempts: int, jitter: float) -> float:
    """How long to wait after so many failures in a row: doubling, capped, with up to a quarter of jitter. `jitter` is from 0 to 1."""
    pause: float = min(RETRY_BASE_SECONDS * 2 ** min(attempts - 1, 20), RETRY_CAP_SECONDS / 1.25)
    return pause * (1 + jitter / 4)


def is_given_up(receipt: Receipt, failing_since: float, now: float) -> bool:
    """Whether a failure is the last: the receiver wants no more, or days passed without a success."""
    return receipt.status == GONE or now - failing_since >= DISABLED_AFTER_SECONDS


def _body(kind: str, at: float, data: Mapping[str, Any]) -> bytes:
    said = {"type": kind, "timestamp": _moment(at), "data": data}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
