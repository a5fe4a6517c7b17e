"""Signatures of requests, checked anew as AWS does: machines sign with curl as well as with SDKs."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
CONTENT_HASH = "x-amz-content-sha256"


def signed(method: str, url: str, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether a request's SigV4 signature was made with this secret, over this body."""
    found = AUTHORIZATION.match(headers.get("authorization", ""))
    if found is None:
        return False
    access_key, date, region, service, _ = found["credential"].split("/")
    given_hash = headers.get(CONTENT_HASH)
    if given_hash not in {None, hashlib.sha256(body).hexdigest()}:
        return False
    named = {name: headers[name] for name in found["headers"].split(";") if name in headers}
    if "host" not in named or not headers.get("x-amz-date", "").startswith(date):
        return False
    request = AWSRequest(method=method, url=url, headers=named, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(access_key, secret), service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return hmac.compare_digest(signer.signature(text, request), found["signature"])
