"""What AWS says of machines by itself: Spot interruptions, rebalance recommendations, changes of state."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moto.events.models import events_backends
from moto.sqs.models import sqs_backends

from lab.cloud.alarms import evaluate
from lab.cloud.fleet import Row, change, refresh
from lab.cloud.queues import measure

if TYPE_CHECKING:
    from lab.cloud.account import Account


def emit(account: Account, kind: str, row: Row, detail: dict[str, Any]) -> None:
    """Have EventBridge pass an event of EC2 to the queues of the rules that match it, in AWS's own envelope: moto's has no account
    (EventBridge User Guide, AWS service event metadata)."""
    event = {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": kind,
        "source": "aws.ec2",
        "account": account.account_id,
        "time": _iso(account.clock()),
        "region": account.region,
        "resources": [f"arn:aws:ec2:{account.region}:{account.account_id}:instance/{row.id}"],
        "detail": {"instance-id": row.id, **detail},
    }
    queues = sqs_backends[account.account_id][account.region]
    for rule in events_backends[account.account_id][account.region].describe_event_bus("default").rules.values():
        if rule.event_pattern.matches_event(event):
            for target in rule.targets:
                queues.send_message(target["Arn"].rpartition(":")[2], json.dumps(event))


def interrupt(account: Account, instance_id: str) -> None:
    """Two minutes' notice for a Spot machine, by event and by its metadata. Raises `LookupError` for any other."""
    with account.lock:
        row = _spot(account, instance_id)
        at = account.clock() + account.delays.notice_seconds
        row.interrupted_at = at
        row.interruption = {"action": "terminate", "time": _iso(at)}
        emit(account, "EC2 Spot Instance Interruption Warning", row, {"instance-action": "terminate"})


def rebalance(account: Account, instance_id: str) -> None:
    """Recommend to leave a Spot machine, by event and by its metadata. Raises `LookupError` for any other."""
    with account.lock:
        row = _spot(account, instance_id)
        row.rebalance = {"noticeTime": _iso(account.clock())}
        emit(account, "EC2 Instance Rebalance Recommendation", row, {})


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _spot(account: Account, instance_id: str) -> Row:
    row = account.fleet.rows.get(instance_id)
    if row is None or not row.spot or refresh(account, row) not in {"pending", "running"}:
        raise LookupError(instance_id)
    return row


def tick(account: Account) -> None:
    """End what was interrupted and whose notice is over, tell of states that changed, and look at the alarms."""
    with account.lock:
        now = account.clock()
        account.disks.refresh(account)
        measure(account)
        evaluate(account)
        for row in list(account.fleet.rows.values()):
            state = refresh(account, row)
            if row.interrupted_at is not None and now >= row.interrupted_at and state in {"pending", "running"}:
                change(account, row, "shutting-down")
                state = row.state
            if state != row.told:
                row.told = state
                emit(account, "EC2 Instance State-change Notification", row, {"state": state})
