"""Who asks, and whether the request is really theirs.

In path routing an instance's own pages share the platform's origin, so neither `SameSite` nor `Origin` tells them apart. What does:
a form needs the session's CSRF token, and a page that holds one is given to a top-level navigation only (`Sec-Fetch-Dest`, which
scripts can't set), and to none that a service worker reads along; it can't be framed, and severs its opener. The API takes a cookie only
together with that token, for reading too. Should all that fail: tokens, passwords and roles are made only within minutes after the password
was given.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.datastructures import FormData

from openclaw_hosted.domain.account import Role, Session, User
from openclaw_hosted.domain.actor import Actor, Party, Via, require_admin
from openclaw_hosted.domain.errors import LimitReached, NotAllowed
from openclaw_hosted.web.context import client_address, web_of
from openclaw_hosted.web.errors import NotConfirmed, NotSignedIn
from openclaw_hosted.web.local import is_local, local_actor
from openclaw_hosted.web.navigation import navigates

API_PATH: Final = "/api/"
CSRF_FIELD: Final = "csrf_token"
CONFIRM_FIELD: Final = "confirm_password"
CSRF_HEADER: Final = "x-csrf-token"
UNKNOWN_ADDRESS: Final = (
    "The platform does not know the address that you opened. Open {} in its place, or have the operator add this one to OTHER_URLS."
)
STALE_FORM: Final = "This form is out of date. Go back, reload the page, and send it again."


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in browser. `csrf_token` is derived from the cookie, which alone knows it."""

    user: User
    actor: Actor
    session: Session
    csrf_token: str
    live_key: str

    @property
    def is_admin(self) -> bool:
        """Whether operators' pages are theirs to see."""
        return self.user.role is Role.ADMIN

    def __repr__(self) -> str:
        return f"Visitor(user={self.user.id!r})"


def actor_of(request: Request) -> Actor:
    """The stranger who sent this request, by which way and from where; `proved_by` makes them the user who they turn out to be."""
    via = Via.API if request.scope["path"].startswith(API_PATH) else Via.PAGE
    return Actor(Party.STRANGER, None, via, client_address(request))


def proved_by(request: Request, user: User) -> Actor:
    """The user who sent this request, as they proved."""
    request.state.user_id = user.id
    return actor_of(request).proved(user)


def derive(cookie: str, purpose: str) -> str:
    """A token for one purpose, from which the cookie can't be told."""
    return hashlib.sha256(f"{cookie}{purpose}".encode()).hexdigest()


async def find_visitor(request: Request) -> Visitor | None:
    """Who is signed in with this browser, if anyone."""
    web = web_of(request)
    for name in web.options.cookie_names:
        cookie = request.cookies.get(name, "")
        found = await web.services.accounts.session(cookie) if cookie else None
        if found is not None:
            break
    else:
        return None
    if name != web.options.cookie_names[0]:
        request.state.old_cookie = (name, cookie)
    session, user = found
    visitor = Visitor(user, proved_by(request, user), session, derive(cookie, "csrf"), derive(cookie, "live"))
    request.state.visitor = visitor
    return visitor


def visitor_of(request: Request) -> Visitor:
    """Who sent the form, which was read before."""
    visitor: Visitor = request.state.visitor
    return visitor


async def require_visitor(request: Request) -> Visitor:
    """The signed-in visitor of a page. Raises `NotSignedIn`."""
    visitor = await find_visitor(request)
    if visitor is None:
        raise NotSignedIn
    check_navigation(request)
    return visitor


async def require_admin_visitor(visitor: Annotated[Visitor, Depends(require_visitor)]) -> None:
    """Let pass who is an admin. Raises `NotAllowed`."""
    require_admin(visitor.actor)


async def read_form(request: Request) -> FormData:
    """A form sent by a page of ours. Raises `NotAllowed` for one from elsewhere."""
    check_origin(request)
    return await request.form()


async def read_visitor_form(request: Request, visitor: Annotated[Visitor, Depends(require_visitor)]) -> FormData:
    """A form with the session's CSRF token, as a field or as htmx's header. Raises `NotAllowed`, `NotSignedIn`."""
    form = await read_form(request)
    check_csrf(visitor, str(form.get(CSRF_FIELD) or request.headers.get(CSRF_HEADER, "")))
    return form


async def read_confirmed_form(
    request: Request, visitor: Annotated[Visitor, Depends(require_visitor)], form: Annotated[FormData, Depends(read_visitor_form)]
) -> FormData:
    """A form of somebody who gave their password just now, with this very form if need be. Raises `NotConfirmed` to ask for it."""
    accounts = web_of(request).services.accounts
    if accounts.is_confirmed(visitor.session):
        return form
    fields = [(name, str(value)) for name, value in form.multi_items() if name not in (CSRF_FIELD, CONFIRM_FIELD)]
    if CONFIRM_FIELD not in form:
        raise NotConfirmed(fields)
    try:
        await accounts.confirm(visitor.actor, visitor.session, str(form[CONFIRM_FIELD]))
    except (NotAllowed, LimitReached) as error:
        raise NotConfirmed(fields, error) from None
    return form


async def require_caller(request: Request) -> Actor:
    """Whose bearer token, or session cookie with its CSRF token, an API request carries; as whom a local one acts. Raises `NotSignedIn`."""
    if is_local(request):
        return await local_actor(request)
    token = bearer_token(request)
    if token is not None:
        user = await web_of(request).services.accounts.user_by_token(token)
        if user is None:
            raise NotSignedIn("This token is not valid.")
        return proved_by(request, user)
    visitor = await find_visitor(request)
    if visitor is None:
        raise NotSignedIn("Send an API token as `Authorization: Bearer …`.")
    check_origin(request)
    check_csrf(visitor, request.headers.get(CSRF_HEADER, ""))
    return visitor.actor


def bearer_token(request: Request) -> str | None:
    """The API token that came with a request, if any."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def require_confirmed_caller(request: Request, _caller: Annotated[Actor, Depends(require_caller)]) -> None:
    """Let pass who calls with a bearer token, or with the session of somebody who gave their password just now. Raises `NotConfirmed`."""
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    if visitor is not None and not web_of(request).services.accounts.is_confirmed(visitor.session):
        raise NotConfirmed


async def require_admin_caller(caller: Annotated[Actor, Depends(require_caller)]) -> None:
    """Let pass who is an admin. Raises `NotAllowed`."""
    require_admin(caller)


def check_csrf(visitor: Visitor, token: str) -> None:
    """Raise `NotAllowed` for a token that is not this session's."""
    if not hmac.compare_digest(visitor.csrf_token.encode(), token.encode()):
        raise NotAllowed(STALE_FORM)


def check_origin(request: Request) -> None:
    """Raise `NotAllowed` for a request that another site makes."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("This request came from another site.")
    origin = request.headers.get("origin")
    addresses = web_of(request).options.addresses
    if origin is not None and not addresses.know(origin):
        is_same = request.headers.get("sec-fetch-site") == "same-origin"
        raise NotAllowed(UNKNOWN_ADDRESS.format(addresses.public) if is_same else "This request came from another site.")


def check_navigation(request: Request) -> None:
    """Raise `NotAllowed` where a script or a frame, rather than a person, asks for a page with forms."""
    if request.method in ("GET", "HEAD") and not navigates(request.headers):
        raise NotAllowed("Open this page in a browser tab of its own.")


def local_path(text: str) -> str:
    """`text` if it is a plain path on this platform, else the front page."""
    plain = text.startswith("/") and "//" not in text and all(char.isascii() and (char.isalnum() or char in "/-_.~") for char in text)
    return text if plain else "/"


CurrentVisitor = Annotated[Visitor, Depends(require_visitor)]
OpenForm = Annotated[FormData, Depends(read_form)]
VisitorForm = Annotated[FormData, Depends(read_visitor_form)]
ConfirmedForm = Annotated[FormData, Depends(read_confirmed_form)]
Caller = Annotated[Actor, Depends(require_caller)]
OWN_FORM: Final = Depends(read_visitor_form)
"""For a route that needs nothing of the form but the proof that a page of ours sent it."""
CONFIRMED_FORM: Final = Depends(read_confirmed_form)
CONFIRMED_CALLER: Final = Depends(require_confirmed_caller)
