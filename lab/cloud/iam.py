"""How long IAM's policies may be: moto takes any.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html. White space is not counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lab.cloud.access import role_of
from lab.cloud.calls import Call
from lab.cloud.operations import moto, operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account

MANAGED_CHARACTERS: Final = 6_144
INLINE_CHARACTERS: Final = 10_240
"""Of all policies that a role holds itself."""
MOST_MANAGED: Final = 10
"""Managed policies of a role; adjustable."""


def length(document: str) -> int:
    """In characters, as IAM counts them."""
    return len(re.sub(r"\s", "", document))


@operation("iam", "CreatePolicy")
def create_policy(account: Account, call: Call) -> Any:
    """Make a managed policy."""
    del account
    _limit("PolicySize", length(call.params["PolicyDocument"]), MANAGED_CHARACTERS)
    return moto(call)


@operation("iam", "CreatePolicyVersion")
def create_policy_version(account: Account, call: Call) -> Any:
    """Change a managed policy."""
    return create_policy(account, call)


@operation("iam", "PutRolePolicy")
def put_role_policy(account: Account, call: Call) -> Any:
    """Give a role a policy of its own, beside those that it has."""
    name, document = call.params["PolicyName"], call.params["PolicyDocument"]
    others = {key: text for key, text in role_of(account, call.params["RoleName"]).policies.items() if key != name}
    _limit("RolePolicySize", length(document) + sum(map(length, others.values())), INLINE_CHARACTERS)
    return moto(call)


@operation("iam", "AttachRolePolicy")
def attach_role_policy(account: Account, call: Call) -> Any:
    """Give a role a managed policy."""
    held = role_of(account, call.params["RoleName"]).managed_policies
    _limit("PoliciesPerRole", len({*held, call.params["PolicyArn"]}), MOST_MANAGED)
    return moto(call)


def _limit(name: str, found: int, most: int) -> None:
    if found > most:
        raise Refused("LimitExceeded", f"Cannot exceed quota for {name}: {most}")
