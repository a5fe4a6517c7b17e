"""Routes and sessions at the edge, written through forward-auth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from openclaw_hosted.adapters.openclaw.rpc import OPENCLAW_MARKUP
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.cookies import session_cookies
from openclaw_hosted.domain.errors import Conflict, NotFound, Unavailable
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.clock import Ids
from openclaw_hosted.ports.router import Route, Target

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES = 64 << 20
"""Forward-auth's longest: all routes or all sessions."""
PAGE_BYTES = 4 << 20
PROBE_SESSION_SECONDS = 20.0


class ForwardAuthClient:
    """Speaks to forward-auth on its socket, with a connection for each request.

    Not through httpx: its work for one request would be most of the time until a new route is in force.
    """

    def __init__(self, data_dir: Path) -> None:
        self._socket = data_dir / "run" / "lookup.sock"

    async def get(self, path: str) -> dict[str, Any]:
        """An entry, or a listing. Raises `NotFound`."""
        try:
            body: dict[str, Any] = json.loads(await self._send("GET", path))
        except ValueError:
            raise Unavailable("Forward-auth ended in the middle of its answer; it is started again by itself.") from None
        return body

    async def put(self, path: str, body: Mapping[str, Any]) -> None:
        """Set one entry. Raises `Conflict`, or `NotFound` for a probe of a route that is not there."""
        await self._send("PUT", path, json.dumps(body).encode())

    async def delete(self, path: str) -> None:
        """Take one entry away."""
        await self._send("DELETE", path)

    async def _send(self, method: str, path: str, body: bytes = b"") -> bytes:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, answer = await _exchange(self._socket, method, quote(path), {"Content-Length": str(len(body))}, body)
        except (OSError, ValueError):
            raise Unavailable("Forward-auth does not answer; it is started again by itself.") from None
        if status == HTTPStatus.CONFLICT:
            raise Conflict("The route is bound to a newer generation.")
        if status == HTTPStatus.NOT_FOUND:
            raise NotFound("The edge knows no such route or session.")
        if status >= HTTPStatus.BAD_REQUEST:
            raise Unavailable(f"Forward-auth answered {status}.")
        return answer


class LocalRouter:
    """`Router` on the edge of one computer. `address` is the platform's own, such as `http://localhost:8080`."""

    def __init__(self, data_dir: Path, address: str, ids: Ids | None = None, mark: str = "") -> None:
        self._lookup = ForwardAuthClient(data_dir)
        self._address = address.rstrip("/")
        self._cookie = session_cookies(mark, secure=address.startswith("https://"))[0]
        self._edge = data_dir / "run" / "edge.sock"
        self._ids = ids or SystemIds()

    async def prepare(self, instance_id: InstanceId, target: Target) -> None:
        await self._put(instance_id, target, None, 0)

    async def bind(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        await self._put(instance_id, target, owner_id, generation)

    async def confirm(self, instance_id: InstanceId) -> None:
        """It leads there at once."""

    async def mark(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        """`bind` did."""

    async def hold(self, instance_id: InstanceId, machine_id: MachineId) -> None:
        """The edge hands the platform whatever nothing answers."""

    async def release(self, instance_id: InstanceId) -> None:
        await self._lookup.delete(f"/routes/{instance_id}")

    async def probe(self, instance_id: InstanceId, target: Target) -> None:
        cookie = self._ids.token()
        probe = {"address": target.address, "session": sha256(cookie.encode()).hexdigest(), "seconds": PROBE_SESSION_SECONDS}
        try:
            await self._lookup.put(f"/probes/{instance_id}", probe)
        except NotFound:
            raise Unavailable("The route does not lead to the machine yet.") from None
        try:
            headers = {"Host": urlsplit(self._address).netloc, "Cookie": f"{self._cookie}={cookie}"}
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, page = await _exchange(self._edge, "GET", f"/{instance_id}/", headers, limit=PAGE_BYTES)
        except (OSError, ValueError):
            raise Unavailable("The edge does not answer.") from None
        if status != HTTPStatus.OK or OPENCLAW_MARKUP not in page:
            raise Unavailable(f"The edge answered {status} in place of OpenClaw's page.")

    async def list(self) -> Sequence[Route]:
        routes = await self._lookup.get("/routes")
        return [
            Route(InstanceId(key), MachineId(route["machine"]), route["owner"], route["generation"], route["address"])
            for key, route in routes.items()
        ]

    async def machines(self) -> Sequence[MachineId]:
        return ()

    async def forget(self, machine_id: MachineId) -> None:
        """A route is all that there is."""

    def signs_in(self, instance_id: InstanceId) -> bool:  # noqa: ARG002 - all are at the platform's own address
        return self._address.startswith("https://")

    def public_url(self, instance_id: InstanceId) -> str:
        return f"{self._address}/{instance_id}/"

    async def _put(self, instance_id: InstanceId, target: Target, owner_id: UserId | None, generation: int) -> None:
        body = {"address": target.address, "machine": target.machine_id, "owner": owner_id, "generation": generation}
        await self._lookup.put(f"/routes/{instance_id}", body)


class HoldingRouter(LocalRouter):
    """The same in front of machines whose address may be another user's machine's once they are gone."""

    async def hold(self, instance_id: InstanceId, machine_id: MachineId) -> None:
        """Nothing goes to that address any more: nobody knows who answers there next."""
        await self._lookup.put(f"/holds/{instance_id}", {"machine": machine_id})


class LocalGate:
    """`Gate` on the edge of one computer."""

    def __init__(self, data_dir: Path) -> None:
        self._lookup = ForwardAuthClient(data_dir)

    async def allow(self, session: Session) -> None:
        await self._lookup.put(f"/sessions/{session.hash}", {"user": session.user_id, "expires_at": session.expires_at})

    async def revoke(self, session_hash: str) -> None:
        await self._lookup.delete(f"/sessions/{session_hash}")

    async def sessions(self) -> Mapping[str, UserId]:
        listing = await self._lookup.get("/sessions")
        return {key: UserId(entry["user"]) for key, entry in listing.items()}


async def _exchange(
    unix_socket: Path, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, limit: int = ANSWER_BYTES
) -> tuple[int, bytes]:
    """Status and body of one request, which ends its connection. HTTP/1.0: a body comes in one piece.

    Raises `OSError`, and `ValueError` where no answer, or more than `limit` bytes came.
    """
    reader, writer = await asyncio.open_unix_connection(unix_socket)
    try:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"{method} {path} HTTP/1.0\r\n{head}\r\n".encode() + body)
        answer, _, rest = (await _read_all(reader, limit)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(answer[9:12]), rest


async def _read_all(reader: asyncio.StreamReader, limit: int) -> bytes:
    """Until the end; raises `ValueError` where that does not come within `limit` bytes."""
    found = bytearray()
    while block := await reader.read(1 << 20):
        found += block
        if len(found) > limit:
            raise ValueError("too long an answer")
    return bytes(found)
