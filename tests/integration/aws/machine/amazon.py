"""What a machine asks of AWS: the metadata address, a secret, a login for the registry. Signatures are checked."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab.cloud.signature import signed

KEYS = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "wJalr/Xut+nFEMI", "Token": "IQoJb3JpZ2luX2Vj/tok+en=="}
METADATA_TOKEN = "metadata-token"
REGION = "us-west-2"


@dataclass
class Account:
    """What there is."""

    secrets: dict[str, str] = field(default_factory=dict)
    failing: int = 0
    """How many calls fail before one succeeds."""
    refusing: str = ""
    """What all calls are refused with."""
    cloudwatch_seconds: float = 0.0
    """How long CloudWatch takes to say that it is away."""
    metadata: dict[str, str] = field(
        default_factory=lambda: {
            "placement/region": REGION,
            "iam/security-credentials/": "machine-role",
            "iam/security-credentials/machine-role": json.dumps({"Code": "Success", **KEYS}, indent=2),
        }
    )
    login: dict[str, str] = field(default_factory=dict)
    """`authorizationToken` and `proxyEndpoint`."""
    asked: list[str] = field(default_factory=list)


class Amazon(ThreadingHTTPServer):
    """Serves an account on loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.account = Account()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Amazon

    def do_PUT(self) -> None:
        self._say(200 if self.path == "/latest/api/token" else 404, METADATA_TOKEN)

    def do_GET(self) -> None:
        name = self.path.removeprefix("/latest/meta-data/")
        if self.headers.get("X-aws-ec2-metadata-token") != METADATA_TOKEN:
            return self._say(401, "")
        found = self.server.account.metadata.get(name)
        return self._say(404 if found is None else 200, found or "")

    def do_POST(self) -> None:
        account = self.server.account
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        target = headers.get("x-amz-target", "")
        account.asked.append(target)
        names = headers.get("authorization", "").partition("SignedHeaders=")[2].partition(",")[0].split(";")
        if not {"host", "x-amz-security-token", "x-amz-target"} <= set(names) or headers["x-amz-security-token"] != KEYS["Token"]:
            return self._refuse("IncompleteSignatureException")
        if not signed("POST", f"http://{headers['host']}/", headers, body, KEYS["SecretAccessKey"]):
            return self._refuse("InvalidSignatureException")
        if account.failing > 0:
            account.failing -= 1
            return self._say(500, "{}")
        if account.refusing:
            return self._refuse(account.refusing)
        return self._answer(target, json.loads(body))

    def _answer(self, target: str, asked: Mapping[str, str]) -> None:
        account = self.server.account
        if target.endswith(".GetAuthorizationToken"):
            return self._say(200, json.dumps({"authorizationData": [account.login]}))
        if target.startswith("Logs_"):
            time.sleep(account.cloudwatch_seconds)
            return self._say(503, "{}")
        text = account.secrets.get(asked["SecretId"])
        if text is None:
            return self._refuse("AccessDeniedException")
        return self._say(200, json.dumps({"Name": asked["SecretId"], "SecretString": text, "VersionStages": ["AWSCURRENT"]}))

    def _refuse(self, kind: str) -> None:
        self._say(400, json.dumps({"__type": kind, "Message": "no"}))

    def _say(self, status: int, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
