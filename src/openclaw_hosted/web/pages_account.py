"""Signing in and out, the one-time links, and one's own account."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.datastructures import FormData

from openclaw_hosted.domain.account import LinkPurpose
from openclaw_hosted.domain.errors import InvalidInput, LimitReached, NotAllowed, NotFound
from openclaw_hosted.services.accounts import SignedIn, check_same
from openclaw_hosted.services.gatekeeping import NO_SESSION
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.cookies import admit, dismiss
from openclaw_hosted.web.errors import STATUS
from openclaw_hosted.web.forms import by_field, text_of
from openclaw_hosted.web.language import choose
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.said import Done, hide, leave
from openclaw_hosted.web.security import (
    CSRF_FIELD,
    OWN_FORM,
    ConfirmedForm,
    CurrentVisitor,
    OpenForm,
    Visitor,
    VisitorForm,
    actor_of,
    check_csrf,
    check_navigation,
    find_visitor,
    local_path,
    visitor_of,
)

SESSION_ID_LENGTH = 12


class LinkKind(StrEnum):
    """The first part of a one-time link's path."""

    SETUP = "setup"
    INVITE = "invite"
    RESET = "reset"

    @property
    def purpose(self) -> LinkPurpose:
        """What the link is for."""
        return LinkPurpose.PASSWORD_RESET if self is LinkKind.RESET else LinkPurpose(self.value)


class LinkKindConvertor(StringConvertor):
    """Matches the kinds of links in a path, and nothing else."""

    regex = "|".join(LinkKind)


register_url_convertor("link", LinkKindConvertor())
router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - the name of the query parameter
    """The form to sign in with."""
    if await find_visitor(request) is not None:
        return RedirectResponse(local_path(next), 303)
    is_new = await web_of(request).services.accounts.is_new()
    return render(request, "sign_in.html", next=local_path(next), needs_setup=is_new, email="", problem=None)


@router.post("/sign-in")
async def sign_in(request: Request, form: OpenForm) -> Response:
    """Sign in, and go to where one came from."""
    web = web_of(request)
    email, password = text_of(form, "email")[:300], str(form.get("password") or "")
    try:
        signed_in = await web.services.accounts.sign_in(actor_of(request), email, password)
    except (NotAllowed, LimitReached) as error:
        target = local_path(text_of(form, "next"))
        status = STATUS[type(error)]
        headers = {"Retry-After": "300"} if status == 429 else None
        return render(
            request, "sign_in.html", status=status, headers=headers, next=target, needs_setup=False, email=email, problem=str(error)
        )
    return admit(RedirectResponse(local_path(text_of(form, "next")), 303), signed_in, web.options)


@router.post("/sign-out", dependencies=[OWN_FORM])
async def sign_out(request: Request, visitor: CurrentVisitor) -> Response:
    """End this session."""
    web = web_of(request)
    await web.services.accounts.end_session(visitor.actor, visitor.session)
    return dismiss(RedirectResponse("/sign-in", 303), web.options)


@router.post("/language")
async def choose_language(request: Request, form: OpenForm) -> Response:
    """Have this browser get its pages in another language, signed in or not."""
    visitor = await find_visitor(request)
    if visitor is not None:
        check_csrf(visitor, text_of(form, CSRF_FIELD))
    return choose(RedirectResponse(local_path(text_of(form, "next")), 303), text_of(form, "language"))


@router.get("/account")
async def account_page(request: Request, visitor: CurrentVisitor) -> Response:
    """Sessions, tokens and password."""
    return await _account(request, visitor)


@router.post("/account/password")
async def change_password(request: Request, form: VisitorForm) -> Response:
    """Set another password; all sessions end, and this browser gets a new one."""
    web, visitor = web_of(request), visitor_of(request)
    accounts = web.services.accounts
    try:
        check_same(str(form.get("password") or ""), str(form.get("password_again") or ""))
        signed_in = await accounts.change_password(
            visitor.actor,
            str(form.get("current_password") or ""),
            str(form.get("password") or ""),
            keep_tokens=bool(form.get("keep_tokens")),
        )
    except InvalidInput as error:
        return await _account(request, visitor, status=422, errors=by_field(error.problems))
    except (NotAllowed, LimitReached) as error:
        return await _account(request, visitor, status=STATUS[type(error)], errors={"current_password": str(error)})
    return admit(leave(request, "/account", Done.PASSWORD), signed_in, web.options)


@router.post("/account/mail")
async def change_mail(request: Request, form: VisitorForm) -> Response:
    """Get news by e-mail, or no more."""
    await web_of(request).services.mail.change(visitor_of(request).actor, on=bool(form.get("on")))
    return leave(request, "/account#news", Done.SAVED)


@router.post("/account/isolation-notice", dependencies=[OWN_FORM])
async def hide_isolation_notice(request: Request) -> Response:
    """Put the notice away that machines are not isolated; operators' own pages go on showing it."""
    return hide(RedirectResponse("/", 303), web_of(request).options.isolation_note)


@router.post("/account/sessions/{session_id}/end", dependencies=[OWN_FORM])
async def end_session(request: Request, visitor: CurrentVisitor, session_id: str) -> Response:
    """End one of one's own sessions."""
    accounts = web_of(request).services.accounts
    for session in await accounts.sessions(visitor.actor):
        if session.hash[:SESSION_ID_LENGTH] == session_id:
            await accounts.end_session(visitor.actor, session)
            return leave(request, "/account", Done.SESSION_ENDED)
    raise NotFound(NO_SESSION)


@router.post("/account/tokens")
async def create_token(request: Request, form: ConfirmedForm) -> Response:
    """Make an API token and show it, this once."""
    visitor = visitor_of(request)
    try:
        token = await web_of(request).services.accounts.create_token(visitor.actor, text_of(form, "label"))
    except InvalidInput as error:
        return await _account(request, visitor, status=422, errors=by_field(error.problems))
    return await _account(request, visitor, new_token=token)


@router.post("/account/tokens/{token_id}/revoke", dependencies=[OWN_FORM])
async def revoke_token(request: Request, visitor: CurrentVisitor, token_id: str) -> Response:
    """Make one of one's own tokens useless."""
    await web_of(request).services.accounts.revoke_token(visitor.actor, token_id)
    return leave(request, "/account#tokens", Done.TOKEN_REVOKED)


@router.get("/{kind:link}/{secret}")
async def link_page(request: Request, kind: LinkKind, secret: str) -> Response:
    """The form that a one-time link leads to."""
    check_navigation(request)
    email, _ = await web_of(request).services.accounts.peek_link(kind.purpose, secret)
    return render(request, "link.html", kind=kind, known_email=email, email="", errors={})


@router.post("/{kind:link}/{secret}")
async def follow_link(request: Request, form: OpenForm, kind: LinkKind, secret: str) -> Response:
    """Set the password that the link is for, and sign in."""
    web = web_of(request)
    known, _ = await web.services.accounts.peek_link(kind.purpose, secret)
    try:
        signed_in = await _follow(request, form, kind, secret)
    except InvalidInput as error:
        context: dict[str, Any] = {"kind": kind, "known_email": known, "email": text_of(form, "email"), "errors": by_field(error.problems)}
        return render(request, "link.html", status=422, **context)
    return admit(RedirectResponse("/", 303), signed_in, web.options)


async def _follow(request: Request, form: FormData, kind: LinkKind, secret: str) -> SignedIn:
    password = str(form.get("password") or "")
    check_same(password, str(form.get("password_again") or ""))
    accounts = web_of(request).services.accounts
    return await accounts.follow_link(actor_of(request), kind.purpose, secret, password, text_of(form, "email"))


async def _account(
    request: Request, visitor: Visitor, *, status: int = 200, errors: dict[str, str] | None = None, new_token: str | None = None
) -> Response:
    accounts = web_of(request).services.accounts
    sessions = [(session.hash[:SESSION_ID_LENGTH], session) for session in await accounts.sessions(visitor.actor)]
    tokens = await accounts.tokens(visitor.actor)
    mail = await web_of(request).services.mail.state(visitor.actor)
    context: dict[str, Any] = {"sessions": sessions, "tokens": tokens, "mail": mail, "errors": errors or {}, "new_token": new_token}
    return render(request, "account.html", status=status, **context)
