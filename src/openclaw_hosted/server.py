"""Runs the web application on a Unix socket or a port, inside the loop of whoever asks; signals stay with the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from openclaw_hosted import local_socket
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.limits import raise_file_limit
from openclaw_hosted.request_ids import TrustedIds

GRACE_SECONDS = 3
CONNECTIONS = 5_000
"""With more, further requests are refused (503). Each takes a file, so the limit on those is raised with it."""
POLL_SECONDS = 0.02


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@dataclass(frozen=True, slots=True)
class WebPlace:
    """Where the web application listens: a Unix socket, or host and port."""

    socket: Path | None = None
    """Only the edge reaches it, unless it is private, so its X-Forwarded headers and X-Request-Id count."""
    host: str = "127.0.0.1"
    port: int = 0
    private: bool = False
    """Whether the socket is for its owner's own programs, and not for the edge."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded headers and X-Request-Id count on the port."""


@contextlib.asynccontextmanager
async def serving(app: Any, place: WebPlace) -> AsyncIterator[None]:
    """Serve `app` for the length of the block."""
    where: dict[str, Any] = {"uds": str(place.socket)} if place.socket else {"host": place.host, "port": place.port}
    own = [local_socket.listening(place.socket)] if place.socket and place.private else None
    config = uvicorn.Config(
        _behind(place, app),
        **where,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=CONNECTIONS,
    )
    raise_file_limit()
    server = _Server(config)
    task = asyncio.create_task(server.serve(own), name="web")
    try:
        while not server.started:
            if task.done():
                raise Unavailable(f"The web application can't listen on {place.socket or f'{place.host}:{place.port}'}; the log says why.")
            await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        if place.socket:
            await asyncio.to_thread(place.socket.unlink, missing_ok=True)


def _behind(place: WebPlace, app: Any) -> Any:
    """`app` as requests reach it at this place: what a trusted neighbour says of a request holds."""
    if place.socket and not place.private:
        return TrustedIds(ProxyHeadersMiddleware(app, "*"), lambda _: True)
    return TrustedIds(ProxyHeadersMiddleware(app, list(place.trusted_proxies)), _within(place.trusted_proxies))


def _within(networks: Sequence[str]) -> Callable[[str | None], bool]:
    """Tells whether a host's address lies in one of these networks."""
    known = [ip_network(network) for network in networks]

    def is_within(host: str | None) -> bool:
        try:
            return host is not None and any(ip_address(host) in network for network in known)
        except ValueError:
            return False

    return is_within
