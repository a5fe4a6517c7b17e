"""Client tokens and dry runs, as EC2 has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.fleet import Token
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account


def dry(call: Call) -> None:
    """Raises `DryRunOperation` where only that was asked."""
    if str(call.params.get("DryRun", "false")).lower() == "true":
        raise Refused("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")


def once(account: Account, call: Call, work: Callable[[], Any]) -> Any:
    """Do something once per client token: the same parameters bring the same answer, others `IdempotentParameterMismatch`."""
    token = call.params.get("ClientToken")
    if not token:
        return work()
    key = (call.action, str(token))
    fingerprint = json.dumps(call.params, sort_keys=True, default=str)
    with account.lock:
        gate = account.fleet.launching.setdefault(key, Lock())
    with gate:
        known = account.fleet.tokens.get(key)
        if known is None:
            known = Token(fingerprint, work())
            account.fleet.tokens[key] = known
        elif known.fingerprint != fingerprint:
            raise Refused(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
    return known.answer
