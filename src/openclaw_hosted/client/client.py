"""The client: how requests are sent, and the few operations that are more than one request and one answer of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Final, Self, cast
from urllib.parse import quote

import httpx

from openclaw_hosted.client.errors import ApiError, NotReached
from openclaw_hosted.client.models import InstanceDetail, InstanceOut, MachineOut, MachineState, Phase, RestorePointOut
from openclaw_hosted.client.operations import Operations

PAGE: Final = 500
TIMEOUT_SECONDS: Final = 30.0
QUIET_SECONDS: Final = 60.0
"""A live view says every few seconds that it is still there."""
PIECE_BYTES: Final = 1 << 16


class Client(Operations):
    """One platform, as one user. `transport` is for tests, and for ways to the platform that are not a plain connection."""

    def __init__(
        self, url: str, token: str, *, timeout_seconds: float = TIMEOUT_SECONDS, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        base = f"{url.rstrip('/')}/api/v1"
        self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout_seconds, transport=transport)

    def __enter__(self) -> Self:
        """The client, closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def every_instance(self, *, owner: str | None = None, phase: Phase | None = None) -> Iterator[InstanceOut]:
        """All instances that `list_instances` would list, page after page."""
        after: str | None = None
        while True:
            page = self.list_instances(owner=owner, phase=phase, after=after, limit=PAGE)
            yield from page["items"]
            after = page.get("next")
            if after is None:
                return

    def every_machine(
        self, *, state: MachineState | None = None, search: str | None = None, include_terminated: bool | None = None
    ) -> Iterator[MachineOut]:
        """All machines that `list_machines` would list, page after page."""
        after: str | None = None
        while True:
            page = self.list_machines(state=state, search=search, include_terminated=include_terminated, after=after, limit=PAGE)
            yield from page["items"]
            after = page.get("next")
            if after is None:
                return

    def follow_instance(self, instance_id: str) -> Iterator[InstanceDetail]:
        """An instance now, and again whenever it changes, until the platform ends the view, which it does after a while. Call it again
        then."""
        path = f"/instances/{quote(instance_id, safe='')}/events"
        with self._open("GET", path, headers={"Accept": "text/event-stream"}, timeout=QUIET_SECONDS) as answer:
            data = ""
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    data += line.removeprefix("data: ")
                elif not line and data:
                    yield cast("InstanceDetail", json.loads(data))
                    data = ""

    def download_instance(self, instance_id: str, target: IO[bytes]) -> None:
        """Write everything that an instance holds now to `target`, as an archive."""
        self._download(f"/instances/{quote(instance_id, safe='')}/archive", target)

    def download_restore_point(self, instance_id: str, point_id: str, target: IO[bytes]) -> None:
        """Write one restore point to `target`, as an archive."""
        self._download(f"/instances/{quote(instance_id, safe='')}/restore-points/{quote(point_id, safe='')}/archive", target)

    def bring_archive(self, source: IO[bytes]) -> RestorePointOut:
        """Bring an archive. Name the answered id as `restore_point` of a new instance, within a day."""
        pieces = iter(lambda: source.read(PIECE_BYTES), b"")
        headers = {"Content-Type": "application/octet-stream"}
        with self._open("POST", "/archives", headers=headers, content=pieces, timeout=None) as answer:
            answer.read()
            return cast("RestorePointOut", answer.json())

    def _call(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, headers: Mapping[str, str | None] | None = None,
        body: object = None,
    ) -> Any:  # fmt: skip
        given = {name: value for name, value in (query or {}).items() if value is not None}
        named = {name: value for name, value in (headers or {}).items() if value is not None}
        content = {} if body is None else {"json": body}
        with self._open(method, path, params=given, headers=named, **content) as answer:
            return answer.json() if answer.read() else None

    def _download(self, path: str, target: IO[bytes]) -> None:
        with self._open("GET", path, timeout=None) as answer:
            for piece in answer.iter_bytes():
                target.write(piece)

    @contextmanager
    def _open(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        """An answer of the platform, if it did what was asked. Raises `ApiError`, `NotReached`."""
        try:
            with self._http.stream(method, path, **request) as answer:
                if not answer.is_success:
                    answer.read()
                    raise ApiError.of(answer)
                yield answer
        except httpx.TransportError as error:
            raise NotReached(f"The platform does not answer at {self._http.base_url}: {error}") from error
