"""How a request gets to a platform: over HTTP, or through the local socket.

The latter is what most commands take, and needs nothing but the standard library, which is loaded in a third of the time that httpx takes.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlencode

from openclaw_hosted.cli.output import CommandError, Exit

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS: Final = 60.0
FETCH_SECONDS: Final = 900.0
"""How long nothing may come of an archive: a machine may have to pack and send it first."""
PIECE_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: a path with its query, and a body for JSON where there is one."""

    method: str
    path: str
    query: Mapping[str, str | int | bool]
    body: object
    headers: Mapping[str, str]
    file: Path | None = None
    """An archive that is sent in the place of JSON."""

    @property
    def target(self) -> str:
        """Path and query, as they stand in a request."""
        flat = {name: str(value).lower() if isinstance(value, bool) else value for name, value in self.query.items()}
        return f"{self.path}?{urlencode(flat)}" if flat else self.path

    @property
    def content(self) -> bytes | None:
        """The body as it is sent."""
        return None if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, with the body's type."""
        if self.file is not None:
            return {**self.headers, "Content-Type": "application/gzip", "Content-Length": str(self.file.stat().st_size)}
        return {**self.headers, **({} if self.body is None else {"Content-Type": "application/json"})}

    @contextmanager
    def sending(self) -> Iterator[bytes | IO[bytes] | None]:
        """What is sent."""
        if self.file is None:
            yield self.content
            return
        with self.file.open("rb") as file:
            yield file


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    content: bytes

    def json(self) -> Any:
        """Its body. Raises `ValueError`."""
        return json.loads(self.content)


class Way(Protocol):
    """A way to one platform, for the length of a command."""

    def send(self, request: Request) -> Answer:
        """Ask. Raises `CommandError` where nobody answers."""

    def fetch(self, request: Request, target: IO[bytes]) -> Answer:
        """Ask, and have what comes written to a file, piece by piece. The answer has a body only where it is a problem."""

    def close(self) -> None:
        """Let go of it."""


class OverHttp:
    """To wherever `client` leads."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(self, request: Request) -> Answer:
        """Ask. Raises `CommandError` where nobody answers."""
        import httpx

        try:
            with request.sending() as content:
                answer = self._client.request(request.method, request.target, content=content, headers=request.all_headers)
        except httpx.HTTPError as error:
            raise no_answer(str(self._client.base_url), error) from error
        return Answer(answer.status_code, answer.content)

    def fetch(self, request: Request, target: IO[bytes]) -> Answer:
        """As `send`, into a file."""
        import httpx

        try:
            patience = httpx.Timeout(TIMEOUT_SECONDS, read=FETCH_SECONDS)
            with self._client.stream(request.method, request.target, headers=request.all_headers, timeout=patience) as answer:
                if not answer.is_success:
                    return Answer(answer.status_code, answer.read())
                for piece in answer.iter_raw():
                    target.write(piece)
                return Answer(answer.status_code, b"")
        except httpx.HTTPError as error:
            raise no_answer(str(self._client.base_url), error) from error

    def close(self) -> None:
        """Let go of it."""
        self._client.close()


class _SocketConnection(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of the host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ThroughSocket:
    """To the platform that listens on a Unix socket; `headers` go with each request."""

    def __init__(self, path: Path, headers: Mapping[str, str]) -> None:
        self._path = path
        self._headers = headers
        self._connection = _SocketConnection(path)

    def send(self, request: Request) -> Answer:
        """Ask. Raises `CommandError` where nobody answers."""
        try:
            answer = self._ask(request)
            return Answer(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise no_answer(str(self._path), error) from error

    def fetch(self, request: Request, target: IO[bytes]) -> Answer:
        """As `send`, into a file."""
        self._connection.close()
        self._connection.timeout = FETCH_SECONDS
        try:
            answer = self._ask(request)
            if not 200 <= answer.status < 300:
                return Answer(answer.status, answer.read())
            while piece := answer.read(PIECE_BYTES):
                target.write(piece)
            return Answer(answer.status, b"")
        except (OSError, http.client.HTTPException) as error:
            raise no_answer(str(self._path), error) from error

    def _ask(self, request: Request) -> http.client.HTTPResponse:
        with request.sending() as content:
            self._connection.request(request.method, request.target, content, {**self._headers, **request.all_headers})
            return self._connection.getresponse()

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


def no_answer(address: str, error: Exception) -> CommandError:
    """What to say of a platform that does not answer."""
    return CommandError(f"The platform at {address} does not answer: {str(error) or type(error).__name__}", Exit.NOT_REACHABLE)
