"""A machine's own read of a secret, for data planes whose machines do not sign calls themselves."""

from __future__ import annotations

import json

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lab.plane.base import Metadata

REFUSALS = frozenset({"AccessDeniedException", "UnrecognizedClientException"})


def read_secret(endpoint_url: str, machine: Metadata, name: str) -> str:
    """GetSecretValue, signed with the machine's credentials and sent as it would send it, so that IAM decides and the call is recorded.

    Raises `PermissionError` where it may not, `LookupError` for a secret that is not there, `OSError` for any other failure.
    """
    if not machine.credentials:
        raise PermissionError(f"{machine.instance_id} has no role")
    given = Credentials(machine.credentials["AccessKeyId"], machine.credentials["SecretAccessKey"], machine.credentials["Token"])
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
    request = AWSRequest("POST", endpoint_url, headers=headers, data=json.dumps({"SecretId": name}))
    SigV4Auth(given, "secretsmanager", machine.region).add_auth(request)
    try:
        answer = httpx.post(endpoint_url, content=request.data, headers=dict(request.headers.items()), timeout=10)
    except httpx.HTTPError as error:
        raise OSError(f"the lab did not answer: {error}") from error
    if answer.is_success:
        return str(answer.json()["SecretString"])
    code = answer.json().get("__type", "").rpartition("#")[2]
    if code in REFUSALS:
        raise PermissionError(f"{machine.instance_id} may not read {name}")
    if code == "ResourceNotFoundException":
        raise LookupError(name)
    raise OSError(f"{code} for {name}")
