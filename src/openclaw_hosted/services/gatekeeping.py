"""What the edge is told of sessions, whatever happens at the same time: it never keeps one that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import NotAllowed, NotFound
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.router import Gate
from openclaw_hosted.ports.stores import AccountStore

NO_SESSION: Final = "There is no such session."


def check_own(actor: Actor, session: Session) -> None:
    """Raise `NotFound` for a session of anyone but the actor."""
    if session.user_id != actor.id:
        raise NotFound(NO_SESSION)


async def allow(gate: Gate, accounts: AccountStore, clock: Clock, session: Session) -> None:
    """Let a session pass at the edge. It may have ended meanwhile, and been revoked before it was allowed; so it is looked at again,
    and `NotAllowed` raised."""
    await gate.allow(session)
    if await accounts.session(session.hash, clock.now()) is None:
        await gate.revoke(session.hash)
        raise NotAllowed("This session has ended. Sign in again.")


async def revoke(gate: Gate, session_hashes: Iterable[str]) -> None:
    """Stop to let these pass, all of them, though one call may fail; then its error is raised."""
    outcomes = await asyncio.gather(*(gate.revoke(each) for each in session_hashes), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
