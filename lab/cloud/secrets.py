"""Secrets that were deleted: for seven to thirty days they can be brought back, and after that they are gone.

Source: docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html. Moto keeps them for good.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from moto.secretsmanager.models import secretsmanager_backends

from lab.cloud.calls import Call
from lab.cloud.operations import moto, operation

if TYPE_CHECKING:
    from lab.cloud.account import Account

LONGEST_DAYS: Final = 30
DAY_SECONDS: Final = 86_400.0


def stored(account: Account) -> Any:
    """Moto's own, by name or ARN."""
    return secretsmanager_backends[account.account_id][account.region].secrets


def secret_value(account: Account, source: str) -> str:
    """What a task definition's `valueFrom` names: a secret's ARN, and after it which value of its JSON document. Raises what moto does."""
    parts = source.split(":")
    backend = secretsmanager_backends[account.account_id][account.region]
    text = str(backend.get_secret_value(":".join(parts[:7]), "", "")["SecretString"])
    key = parts[7] if len(parts) > 7 else ""
    return str(json.loads(text)[key]) if key else text


@operation("secretsmanager", "DeleteSecret")
def delete_secret(account: Account, call: Call) -> Any:
    """Delete a secret at once, or when its days are over by the account's clock."""
    answer = moto(call)
    secret = stored(account).get(call.params["SecretId"])
    if secret is not None and secret.is_deleted():
        secret.deleted_date = account.clock() + (call.params.get("RecoveryWindowInDays") or LONGEST_DAYS) * DAY_SECONDS
    return answer


def expire(account: Account) -> None:
    """Forget the secrets whose days are over."""
    with account.lock:
        secrets = stored(account)
        for name, secret in list(secrets.items()):
            if secret.deleted_date and account.clock() >= secret.deleted_date:
                secrets.pop(name)
