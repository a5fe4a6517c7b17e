"""Who a caller is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.cloud.access import session_arn
from lab.cloud.calls import Call
from lab.cloud.operations import operation

if TYPE_CHECKING:
    from lab.cloud.account import Account


@operation("sts", "GetCallerIdentity")
def get_caller_identity(account: Account, call: Call) -> Any:
    """The account's root, or a session of the role that the caller has."""
    role_name = call.caller.role_name
    arn = f"arn:aws:iam::{account.account_id}:root" if role_name is None else session_arn(account, role_name, call.caller.instance_id)
    return {"UserId": call.caller.access_key, "Account": account.account_id, "Arn": arn}
