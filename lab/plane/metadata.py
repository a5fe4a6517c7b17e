"""The metadata service of EC2 (IMDSv2), for machines that are told apart by the address that they ask from.

It also answers what cloud-init's data source for EC2 asks: folders, user data, and the versions that it looks for.

Machines reach it at 169.254.169.254 port 80 as on AWS: see `redirection` for what makes it so, and for what a hop limit is here.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.plane.base import Metadata, MetadataSource
from lab.plane.http import Request, Response, serve
from lab.plane.loop import LoopThread, listen

ADDRESS: Final = "169.254.169.254"
TOKEN_PATH: Final = "/latest/api/token"
LONGEST_TOKEN_SECONDS: Final = 21600
VERSIONS: Final = ("latest", "2021-03-23", "2018-09-24", "2016-09-02", "2009-04-04")
"""Of many: those that cloud-init's DataSourceEc2 asks for. They tell the same here."""


@dataclass(frozen=True, slots=True)
class Asking:
    """The machine at an address."""

    instance_id: str
    tags: bool
    """Whether it may read its tags."""
    user_data: str = ""


class MetadataService:
    """Listens from the constructor until `close`. `who` tells the machine of an address; None for a stranger."""

    def __init__(self, thread: LoopThread, listen_on: str, who: Callable[[str], Asking | None], source: MetadataSource) -> None:
        self._thread = thread
        self._who = who
        self._source = source
        self._tokens: dict[str, tuple[str, float]] = {}
        self._server = thread.call(self._start(listen_on))

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Take no more connections."""
        self._thread.soon(self._server.close)

    async def _start(self, host: str) -> asyncio.Server:
        return await listen(lambda reader, writer: serve(reader, writer, self._answer), host)

    async def _answer(self, request: Request) -> Response:
        asking = self._who(request.client)
        if asking is None:
            return Response(403)
        if request.path == TOKEN_PATH:
            return self._token(request)
        owner, expires_at = self._tokens.get(request.headers.get("x-aws-ec2-metadata-token", ""), ("", 0.0))
        if owner != asking.instance_id or time.monotonic() >= expires_at:
            return Response(401)
        if request.method not in ("GET", "HEAD"):
            return Response(405)
        try:
            metadata = await asyncio.to_thread(self._source, asking.instance_id)
        except LookupError:
            return Response(404)
        body = document(metadata, request.path, asking)
        return Response(404) if body is None else Response(200, body.encode())

    def _token(self, request: Request) -> Response:
        """A token for the machine; one that was asked for through a proxy (X-Forwarded-For) is refused, as IMDSv2 does."""
        asking = self._who(request.client)
        seconds = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if request.method != "PUT":
            return Response(405)
        if "x-forwarded-for" in request.headers:
            return Response(403)
        if asking is None or not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST_TOKEN_SECONDS:
            return Response(400)
        token = secrets.token_urlsafe(40)
        self._tokens[token] = (asking.instance_id, time.monotonic() + int(seconds))
        return Response(200, token.encode(), headers={"X-aws-ec2-metadata-token-ttl-seconds": seconds})


def document(metadata: Metadata, path: str, asking: Asking) -> str | None:
    """What stands at a path, such as `/latest/meta-data/instance-id`, or in a folder; None for 404."""
    version, _, name = path.removeprefix("/").partition("/")
    if version not in VERSIONS or not name:
        return None
    known = {
        "meta-data/instance-id": metadata.instance_id,
        "meta-data/placement/availability-zone": metadata.zone,
        "meta-data/placement/region": metadata.region,
        "dynamic/instance-identity/document": json.dumps(
            {"instanceId": metadata.instance_id, "region": metadata.region, "availabilityZone": metadata.zone}
        ),
        **_addresses(metadata),
        **_credentials(metadata),
        **(_tags(metadata.tags) if asking.tags else {}),
        **_events(metadata),
        **({"user-data": asking.user_data} if asking.user_data else {}),
    }
    return known.get(name, _listing(known, f"{name.rstrip('/')}/"))


def _listing(known: Mapping[str, str], folder: str) -> str | None:
    """What a folder holds, a line each; folders in it end with a slash."""
    inside = {name.removeprefix(folder).partition("/") for name in known if name.startswith(folder)}
    return "\n".join(sorted({f"{first}{slash}" for first, slash, _ in inside})) or None


def _addresses(metadata: Metadata) -> Mapping[str, str]:
    found = {"meta-data/public-ipv4": metadata.public_ipv4, "meta-data/ipv6": metadata.ipv6}
    return {name: address for name, address in found.items() if address is not None}


def _credentials(metadata: Metadata) -> Mapping[str, str]:
    if metadata.role_name is None:
        return {}
    body = {"Code": "Success", "Type": "AWS-HMAC", **metadata.credentials}
    return {f"meta-data/iam/security-credentials/{metadata.role_name}": json.dumps(body)}


def _tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    return {f"meta-data/tags/instance/{name}": value for name, value in tags.items()}


def _events(metadata: Metadata) -> Mapping[str, str]:
    found = {"meta-data/spot/instance-action": metadata.interruption, "meta-data/events/recommendations/rebalance": metadata.rebalance}
    return {name: json.dumps(body) for name, body in found.items() if body is not None}


def redirection(gateway: str, port: int, hop_limit: int) -> str:
    """A script for a machine's own network namespace: the metadata address leads to the service.

    A container on the machine's own bridge is one hop further away. At hop limit 1 its packets to the service go nowhere, whichever address
    it asks; at 2 and more they arrive.
    """
    to = f"-d {ADDRESS} -p tcp --dport 80 -j DNAT --to-destination {gateway}:{port}"
    own = f"iptables --wait -t nat -A OUTPUT {to}"
    if hop_limit >= 2:
        return f"{own} && iptables --wait -t nat -A PREROUTING {to}"
    return f"{own} && iptables --wait -t mangle -A FORWARD -d {gateway} -p tcp --dport {port} -j DROP"
