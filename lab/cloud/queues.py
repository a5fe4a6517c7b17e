"""What CloudWatch tells of queues by itself: the age of the oldest message, each minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moto.sqs.models import sqs_backends

from lab.cloud.alarms import Point

if TYPE_CHECKING:
    from lab.cloud.account import Account

EVERY_SECONDS: Final = 60.0
METRIC: Final = "ApproximateAgeOfOldestMessage"


def measure(account: Account) -> None:
    """One point for each queue, where the last is a minute old. Call with the lock held."""
    now = account.clock()
    for name, queue in sqs_backends[account.account_id][account.region].queues.items():
        series = "AWS/SQS", METRIC, frozenset({("QueueName", name)})
        known = account.metrics.series.get(series)
        if known and 0 <= now - known[-1].at < EVERY_SECONDS:
            continue
        waiting = [message.sent_timestamp / 1000 for message in queue._messages]  # noqa: SLF001 - those that are hidden as well
        age = max(0.0, now - min(waiting)) if waiting else 0.0
        account.metrics.add(series, Point(now, age, 1, age, age, (age,)))
