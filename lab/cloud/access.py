"""Who calls, and whether their role lets them: machines sign with credentials of their own."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from lab.cloud.calls import Call
from lab.cloud.operations import BODY
from lab.cloud.policy import Decision, Request, decide, parsed
from lab.cloud.refused import Refused
from lab.cloud.resources import context_of, resource_policy, targets_of
from lab.cloud.signature import signed

if TYPE_CHECKING:
    from lab.cloud.account import Account
    from lab.cloud.fleet import Row

KEY_CHARACTERS = string.ascii_uppercase + "234567"
VALID_SECONDS = 6 * 3600.0
SIGNED_HEADERS = (
    "authorization",
    "host",
    "x-amz-date",
    "x-amz-target",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "content-type",
    "content-length",
)
DENIALS: Mapping[str, str] = {
    "ec2": "UnauthorizedOperation",
    "elasticloadbalancing": "AccessDenied",
    "iam": "AccessDenied",
    "sts": "AccessDenied",
    "cloudwatch": "AccessDenied",
}
"""What each service calls it; `AccessDeniedException` elsewhere."""
ALWAYS = frozenset({"sts:GetCallerIdentity"})
"""Needs no permission."""


@dataclass(frozen=True)
class MachineKey:
    """Credentials of one machine's role."""

    access_key: str
    secret: str
    token: str
    instance_id: str
    role_name: str
    expires_at: float


@dataclass
class Access:
    """The machines' credentials, and the role that the account's own keys are held to."""

    keys: dict[str, MachineKey] = field(default_factory=dict)
    enforced: str | None = None

    def issue(self, account: Account, row: Row) -> MachineKey | None:
        """The credentials of a machine, the same until half of their time is over; None without a role."""
        if row.role_name is None:
            return None
        now = account.clock()
        for key in self.keys.values():
            if key.instance_id == row.id and key.role_name == row.role_name and now < key.expires_at - VALID_SECONDS / 2:
                return key
        fresh = MachineKey(
            access_key="ASIA" + "".join(secrets.choice(KEY_CHARACTERS) for _ in range(16)),
            secret=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(96),
            instance_id=row.id,
            role_name=row.role_name,
            expires_at=now + VALID_SECONDS,
        )
        self.keys[fresh.access_key] = fresh
        return fresh

    def admit(self, account: Account, call: Call) -> None:
        """Name the caller, check the signature of a machine, and have the role's policies decide. Raises `Refused`."""
        key = self.keys.get(call.caller.access_key)
        if key is not None:
            call.caller = replace(call.caller, instance_id=key.instance_id, role_name=key.role_name)
            _check_signature(account, call, key)
        elif call.caller.access_key.startswith("ASIA"):
            call.caller = replace(call.caller, role_name=_assumed(account, call))
        else:
            call.caller = replace(call.caller, role_name=self.enforced)
        if call.caller.role_name is not None and call.action not in ALWAYS:
            with account.lock:
                _check_role(account, call, call.caller.role_name)


def _assumed(account: Account, call: Call) -> str:
    """The role of a session that AssumeRole gave. Its signature is not checked. Raises `ServiceException` for an unknown key."""
    session = sts_backends[account.account_id]["aws"].get_assumed_role_from_access_key(call.caller.access_key)
    if session is None:
        raise _unknown(call)
    return str(session.role_arn).rpartition("/")[2]


def _unknown(call: Call) -> Refused:
    code = {"ec2": "AuthFailure", "sts": "InvalidClientTokenId"}.get(call.action.partition(":")[0], "UnrecognizedClientException")
    return Refused(code, "The security token included in the request is invalid.")


def _check_signature(account: Account, call: Call, key: MachineKey) -> None:
    request = call.response.normalized_request
    headers = {name: request.headers[name] for name in SIGNED_HEADERS if name in request.headers}
    if headers.get("x-amz-security-token") != key.token:
        raise _unknown(call)
    if account.clock() >= key.expires_at:
        raise Refused("ExpiredTokenException", "The security token included in the request is expired")
    if not signed(request.method, request.raw_url, headers, request.environ[BODY], key.secret):
        raise Refused("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")


def _check_role(account: Account, call: Call, role_name: str) -> None:
    for action, resource, subject in targets_of(account, call):
        context = context_of(account, call, role_name, subject)
        request = Request(action, resource, context, frozenset(_principals(account, role_name)))
        decision = decide([*documents(account, role_name), *resource_policy(account, call.action, subject)], request)
        if decision is not Decision.ALLOWED:
            raise denial(account, call, role_name, action, resource, decision)


def _principals(account: Account, role_name: str) -> Iterator[str]:
    yield role_arn(account, role_name)


def role_arn(account: Account, role_name: str) -> str:
    """Of a role of this account."""
    return str(role_of(account, role_name).arn)


def documents(account: Account, role_name: str) -> Iterator[Mapping[str, Any]]:
    """A role's policies, inline and managed."""
    role = role_of(account, role_name)
    for document in role.policies.values():
        yield parsed(document)
    for policy in role.managed_policies.values():
        version = next(each for each in policy.versions if each.version_id == policy.default_version_id)
        yield parsed(version.document)


def role_of(account: Account, role_name: str) -> Any:
    """Moto's own object. Raises `ServiceException`."""
    return iam_backends[account.account_id]["aws"].get_role(role_name)


def denial(account: Account, call: Call, role_name: str, action: str, resource: str, decision: Decision) -> Refused:
    """As the called service says it."""
    service = call.action.partition(":")[0]
    who = session_arn(account, role_name, call.caller.instance_id)
    why = "with an explicit deny" if decision is Decision.DENIED else "because no policy allows the action"
    code = DENIALS.get(service, "AccessDeniedException")
    return Refused(code, f"User: {who} is not authorized to perform: {action} on resource: {resource} {why}")


def session_arn(account: Account, role_name: str, instance_id: str | None) -> str:
    """Who a caller is, with a role."""
    return f"arn:aws:sts::{account.account_id}:assumed-role/{role_name}/{instance_id or 'session'}"
