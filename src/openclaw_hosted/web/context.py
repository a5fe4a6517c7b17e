"""What every page and API route works with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from fastapi import Request
from fastapi.templating import Jinja2Templates

from openclaw_hosted.domain.cookies import session_cookies
from openclaw_hosted.domain.origins import Addresses
from openclaw_hosted.ports.tracing import NO_TRACER, Tracer
from openclaw_hosted.services import Services

ADDRESS_LENGTH: Final = 60
"""More than any network address has."""


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What the platform decides about its pages."""

    addresses: Addresses
    """Where people reach the platform."""
    secure_cookies: bool
    """Whether the session cookie is `__Host-`, for HTTPS only."""
    isolation_note: str | None
    """A line shown wherever machines or instances are, where machines are not isolated from each other."""
    version: str
    retention_days: int
    """How long a deletion can be undone."""
    readiness: Callable[[], Awaitable[dict[str, bool]]]
    """What has to be well for the platform to be ready, each by name."""
    authority: Callable[[], bytes | None] | None = None
    """The root certificate that devices have to trust; None where they trust the platform's certificate anyway."""
    points_every_hours: float = 24.0
    """How often a restore point is made of each instance; 0 for never."""
    points_keep: int = 7
    is_one_place: bool = False
    """Whether each address leads to all instances, so that who opens one stays at the address that they came by."""
    mark: str = ""
    """What tells this platform from others on the same host."""
    tracer: Tracer = NO_TRACER

    @property
    def hsts(self) -> bool:
        """Whether browsers are told to use HTTPS only: one that can't be clicked away, so only for certificates they trust anyway."""
        return self.secure_cookies and self.authority is None

    @property
    def cookie_names(self) -> tuple[str, ...]:
        """The names under which a session cookie is taken, the one that is set first."""
        return session_cookies(self.mark, secure=self.secure_cookies)


@dataclass(frozen=True, slots=True)
class Web:
    """The services, the options and the templates."""

    services: Services
    options: WebOptions
    templates: Mapping[str, Jinja2Templates]
    """By the code of their language."""
    streams: Counter[str] = field(default_factory=Counter)
    """How many live views each user has open now."""


def web_of(request: Request) -> Web:
    """What this request's app was made with."""
    return cast("Web", request.app.state.web)


def link_start(request: Request) -> str:
    """What a link to a page of the platform starts with, without a trailing slash."""
    return web_of(request).options.addresses.for_links(request.headers.get("host", ""))


def path_within(request: Request, url: str) -> str:
    """`url` of an instance as its path, which keeps a browser at the address that it came by; whole where instances are elsewhere."""
    options = web_of(request).options
    return url.removeprefix(options.addresses.public) if options.is_one_place else url


def request_id_of(request: Request) -> str:
    """The id under which the log has this request; empty before it has one."""
    return str(getattr(request.state, "request_id", ""))


def client_address(request: Request) -> str | None:
    """The network address that a request came from. The edge, which alone reaches the socket, sets X-Forwarded-For."""
    if request.client is not None and request.client.host:
        return request.client.host[:ADDRESS_LENGTH]
    return request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()[:ADDRESS_LENGTH] or None
