"""Accounts: set-up, sign-in, invitations, password resets, sessions and API tokens.

How a person proves who they are stands in `authenticate`; another way to sign in (OpenID Connect) ends in `start_session` as well.
What finds out who acts (a session, a token, the first admin) takes no actor; all else does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher

from openclaw_hosted.domain.account import (
    AccountChange,
    Invitation,
    LinkPurpose,
    Role,
    Session,
    User,
    check_password,
    clean_email,
    ending,
    fold_email,
)
from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, NotAllowed, NotFound, StateConflict, Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import UserId, clean_display_name
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.router import Gate
from openclaw_hosted.ports.stores import AccountStore, PlatformStore
from openclaw_hosted.services.gatekeeping import allow, check_own, revoke
from openclaw_hosted.services.guesses import GuessLimiter
from openclaw_hosted.services.passwords import VERIFIED_LENGTH, Passwords

DAY_SECONDS: Final = 86_400.0
SESSION_SECONDS: Final = 14 * DAY_SECONDS
INVITE_SECONDS: Final = 7 * DAY_SECONDS
SETUP_SECONDS: Final = DAY_SECONDS
RESET_SECONDS: Final = DAY_SECONDS
TOKEN_PREFIX: Final = "ochs_"
CONFIRMED_SECONDS: Final = 600.0
"""For so long after a password was given, it is not asked for again."""
USED_LINK: Final = "This link was used already, or is too old. Ask for a new one."


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal: what is kept of a cookie, link or token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def token_id(secret: str) -> str:
    """What an API token is called where its secret must not be said."""
    return digest(secret)[:12]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh session. `cookie` is a credential, to be handed to the browser once."""

    user: User
    session: Session
    cookie: str

    def __repr__(self) -> str:
        return f"SignedIn(user={self.user.id!r})"


class AccountService:
    """Accounts and what they prove themselves with. Passwords are hashed as argon2-cffi recommends, unless a `hasher` is given."""

    def __init__(
        self,
        accounts: AccountStore,
        platform: PlatformStore,
        gate: Gate,
        clock: Clock,
        ids: Ids,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._accounts = accounts
        self._platform = platform
        self._gate = gate
        self._clock = clock
        self._ids = ids
        self._passwords = Passwords(hasher)
        self._guesses = GuessLimiter(clock)
        self._dummy: str | None = None

    async def is_new(self) -> bool:
        """Whether there is no account yet, so that nobody can sign in."""
        return not await self._accounts.users()

    async def needs_setup(self) -> bool:
        """Whether nobody can look after the platform yet: there is no admin."""
        return not any(user.role is Role.ADMIN for user in await self._accounts.users())

    async def setup_link(self, actor: Actor) -> str:
        """The secret of a one-time link that makes the first account, an admin's. Earlier ones stop working. For admins only."""
        require_admin(actor)
        event = self._event(actor, EventName.SETUP_LINK_MADE)
        return await self._new_link(LinkPurpose.SETUP, None, Role.ADMIN, SETUP_SECONDS, event)

    async def create_user(self, actor: Actor, email: str, password: str, role: Role = Role.USER) -> User:
        """Make an account with a password. For admins only."""
        require_admin(actor)
        user = self._new_user(email, password, role)
        return await self._add_user(actor, user, password)

    async def invite(self, actor: Actor, email: str, role: Role = Role.USER) -> str:
        """The secret of a one-time link with which the invited person sets a password and joins. Earlier ones stop working. For admins
        only."""
        require_admin(actor)
        address = clean_email(email)
        if await self._find(address) is not None:
            raise StateConflict("That e-mail address has an account already.")
        event = self._event(actor, EventName.USER_INVITED, email=address, role=role)
        return await self._new_link(LinkPurpose.INVITE, address, role, INVITE_SECONDS, event)

    async def invitations(self, actor: Actor) -> Sequence[Invitation]:
        """Those that nobody has accepted yet and that are not too old. For admins only."""
        require_admin(actor)
        return await self._accounts.invitations(self._clock.now())

    async def revoke_invitation(self, actor: Actor, invitation_id: str) -> None:
        """Have the link of an invitation not work any more. For admins only. Raises `NotFound`."""
        require_admin(actor)
        await self._accounts.remove_invitation(invitation_id, self._event(actor, EventName.INVITATION_REVOKED, invitation=invitation_id))

    async def reset_link(self, actor: Actor, user_id: UserId) -> str:
        """The secret of a one-time link with which a user sets another password. Earlier ones stop working. For admins only. Raises
        `StateConflict` for a disabled user."""
        require_admin(actor)
        user = await self._accounts.user(user_id)
        if user.disabled:
            raise StateConflict("This account is disabled. Enable it first, then make the link.")
        event = self._event(actor, EventName.USER_PASSWORD_RESET, user.id)
        return await self._new_link(LinkPurpose.PASSWORD_RESET, user.email, user.role, RESET_SECONDS, event)

    async def peek_link(self, purpose: LinkPurpose, secret: str) -> tuple[str | None, Role]:
        """E-mail address and role of a link. Raises `NotAllowed` when it is used up, out of date or unknown."""
        found = await self._accounts.peek_link(digest(secret), purpose, self._clock.now())
        if found is None or (purpose is LinkPurpose.SETUP and not await self.needs_setup()):
            raise NotAllowed(USED_LINK)
        return found

    async def follow_link(self, actor: Actor, purpose: LinkPurpose, secret: str, password: str, email: str | None = None) -> SignedIn:
        """Set the password that a link is for, making the account where it is new, and sign in. The link is used up
        only when all else is right."""
        check_password(password)
        known_email, role = await self.peek_link(purpose, secret)
        if purpose is LinkPurpose.PASSWORD_RESET:
            return await self._reset(actor, secret, password)
        user = self._new_user(known_email or email or "", password, role)
        if await self._accounts.use_link(digest(secret), purpose, self._clock.now()) is None:
            raise NotAllowed(USED_LINK)
        return await self.start_session(actor, await self._add_user(actor.proved(user), user, password))

    async def sign_in(self, actor: Actor, email: str, password: str) -> SignedIn:
        """A session for the right password. Raises `NotAllowed`, or `LimitReached` after too many failures from the actor's address."""
        user, hashed = await self._prove(actor, email, password)
        return await self.start_session(actor, user, hashed)

    async def confirm(self, actor: Actor, session: Session, password: str) -> None:
        """Take note that whoever has this session knows the password. Counts as an attempt to sign in, and raises what `sign_in`
        raises; `NotFound` for anyone else's session."""
        check_own(actor, session)
        user = await self.me(actor)
        await self._prove(actor, user.email, password)
        await self._accounts.confirm_session(session.hash, self._clock.now(), self._event(actor, EventName.USER_CONFIRMED, user.id))

    def is_confirmed(self, session: Session) -> bool:
        """Whether the password was given a short while ago."""
        return self._clock.now() - session.confirmed_at < CONFIRMED_SECONDS

    async def change_password(self, actor: Actor, present: str, password: str, *, keep_tokens: bool = False) -> SignedIn:
        """Set another password by the present one; returns a session in place of all earlier ones. Raises what `sign_in` raises, and
        ends nothing then. API tokens end as well, unless `keep_tokens`."""
        check_password(password)
        user, proven = await self._prove(actor, (await self.me(actor)).email, present)
        hashed = await self._passwords.hash(password)
        event = self._event(actor, EventName.USER_PASSWORD_CHANGED, user.id, tokens="kept" if keep_tokens else "ended")
        ends = ending(AccountChange.PASSWORD_CHANGED, keep_tokens=keep_tokens)
        await revoke(self._gate, await self._accounts.set_password(user.id, hashed, proven, ends, event))
        return await self.start_session(actor, user, hashed)

    async def authenticate(self, address: str, password: str) -> User | None:
        """The account that this password belongs to; takes as long for an unknown address."""
        found = await self._authenticate(address, password)
        return found and found[0]

    async def start_session(self, actor: Actor, user: User, proven: str | None = None) -> SignedIn:
        """A new session for an actor who proved to be this user, by the password of which `proven` is the hash, if it was one. Raises
        `NotAllowed` for a disabled user, and where the password was changed meanwhile."""
        cookie = self._ids.token()
        now = self._clock.now()
        session = Session(digest(cookie), user.id, now, now + SESSION_SECONDS, confirmed_at=now)
        await self._accounts.add_session(session, self._event(actor.proved(user), EventName.USER_SIGNED_IN, user.id), proven)
        await allow(self._gate, self._accounts, self._clock, session)
        return SignedIn(user, session, cookie)

    async def session(self, cookie: str) -> tuple[Session, User] | None:
        """Who is behind a cookie, or None."""
        return await self._accounts.session(digest(cookie), self._clock.now())

    async def end_session(self, actor: Actor, session: Session) -> None:
        """End one of the actor's own sessions. Raises `NotFound` for anyone else's."""
        check_own(actor, session)
        await self._accounts.end_session(session.hash, self._event(actor, EventName.SESSION_ENDED, session.user_id))
        await revoke(self._gate, [session.hash])

    async def sessions(self, actor: Actor) -> Sequence[Session]:
        """The actor's valid sessions, newest first."""
        return await self._accounts.sessions_of(actor.user_id, self._clock.now())

    async def set_disabled(self, actor: Actor, user_id: UserId, *, disabled: bool) -> User:
        """Shut a user out at once, or let them in again; returns them as they are now. Their instances run on. For admins only."""
        require_admin(actor)
        event = self._event(actor, EventName.USER_DISABLED if disabled else EventName.USER_ENABLED, user_id)
        ends = ending(AccountChange.DISABLED if disabled else AccountChange.ENABLED)
        await revoke(self._gate, await self._accounts.set_disabled(user_id, disabled=disabled, ends=ends, event=event))
        return await self._accounts.user(user_id)

    async def set_role(self, actor: Actor, user_id: UserId, role: Role) -> User:
        """Make a user an admin, or an admin a user; returns them as they are now. They sign in anew. For admins only; raises
        `StateConflict` for the last admin."""
        require_admin(actor)
        user = await self._accounts.user(user_id)
        if user.role is role:
            return user
        event = self._event(actor, EventName.USER_ROLE_CHANGED, user_id, before=user.role, after=role)
        await revoke(self._gate, await self._accounts.set_role(user_id, role, event, ending(AccountChange.ROLE_CHANGED)))
        return await self._accounts.user(user_id)

    async def me(self, actor: Actor) -> User:
        """The actor's own account."""
        return await self._accounts.user(actor.user_id)

    async def users(self, actor: Actor) -> Sequence[User]:
        """All accounts, oldest first. For admins only."""
        require_admin(actor)
        return await self._accounts.users()

    async def emails(self, actor: Actor) -> Mapping[str, str]:
        """The e-mail address of each account, by its id. For admins only."""
        return {user.id: user.email for user in await self.users(actor)}

    async def first_admin(self) -> User | None:
        """The oldest account of an admin that is not disabled, as whom commands on the platform's own computer act."""
        return next((user for user in await self._accounts.users() if user.role is Role.ADMIN and not user.disabled), None)

    async def user_by_email(self, email: str) -> User:
        """Raises `NotFound`."""
        found = await self._find(clean_email(email))
        if found is None:
            raise NotFound(f"There is no account {email.strip()[:60]!r}.")
        return found[0]

    async def create_token(self, actor: Actor, label: str) -> str:
        """A new API token, shown this once."""
        secret = TOKEN_PREFIX + self._ids.token()
        name = clean_display_name(label, "label")
        owner = actor.user_id
        event = self._event(actor, EventName.TOKEN_CREATED, owner, label=name)
        await self._accounts.add_token(token_id(secret), digest(secret), owner, name, self._clock.now(), event)
        return secret

    async def tokens(self, actor: Actor) -> Sequence[tuple[str, str, float]]:
        """Id, label and creation time of the actor's tokens."""
        return await self._accounts.tokens_of(actor.user_id)

    async def revoke_token(self, actor: Actor, revoked: str) -> None:
        """Make one of the actor's own tokens useless, named by its id. Raises `NotFound`."""
        if revoked not in {known for known, _, _ in await self.tokens(actor)}:
            raise NotFound("There is no such token.")
        await self._accounts.revoke_token(revoked, self._event(actor, EventName.TOKEN_REVOKED, actor.user_id))

    async def user_by_token(self, token: str) -> User | None:
        """Whose API token it is, or None."""
        return await self._accounts.user_by_token(digest(token)) if token.startswith(TOKEN_PREFIX) else None

    def _new_user(self, email: str, password: str, role: Role) -> User:
        address = clean_email(email)
        check_password(password)
        return User(self._ids.user_id(), address, role, self._clock.now())

    async def _add_user(self, actor: Actor, user: User, password: str) -> User:
        event = self._event(actor, EventName.USER_JOINED, user.id)
        await self._accounts.add_user(user, await self._passwords.hash(password), event)
        return user

    async def _new_link(self, purpose: LinkPurpose, email: str | None, role: Role, seconds: float, event: Event) -> str:
        secret = self._ids.token()
        await self._accounts.add_link(digest(secret), purpose, email, role, self._clock.now() + seconds, event)
        return secret

    async def _find(self, address: str) -> tuple[User, str | None] | None:
        """By the address as it is kept now, or as earlier versions kept it."""
        for form in dict.fromkeys((fold_email(address), address.strip().lower())):
            with suppress(NotFound):
                return await self._accounts.user_by_email(form)
        return None

    async def _reset(self, actor: Actor, secret: str, password: str) -> SignedIn:
        def happened(user: User) -> Event:
            return self._event(actor.proved(user), EventName.USER_PASSWORD_CHANGED, user.id)

        hashed = await self._passwords.hash(password)
        ends = ending(AccountChange.PASSWORD_RESET)
        done = await self._accounts.reset_password(digest(secret), self._clock.now(), hashed, ends, happened)
        if done is None:
            raise NotAllowed(USED_LINK)
        user, ended = done
        await revoke(self._gate, ended)
        return await self.start_session(actor, user, hashed)

    async def _prove(self, actor: Actor, email: str, password: str) -> tuple[User, str]:
        """The user, and the hash of the password that was given. The attempt is counted before the password is looked at, so that many at
        once are no more than one after the other."""
        guess = self._guesses.begin(fold_email(email), actor.address or "")
        if guess.wait_seconds:
            await self._clock.sleep(guess.wait_seconds)
        try:
            found = await self._authenticate(email, password)
        except Unavailable:
            self._guesses.give_back(guess)
            raise
        if found is None:
            await self._platform.add_event(self._event(actor, EventName.USER_SIGN_IN_FAILED))
            raise NotAllowed("E-mail address or password is wrong.")
        self._guesses.succeeded(guess)
        return found

    async def _authenticate(self, address: str, password: str) -> tuple[User, str] | None:
        """The user, and the hash of this password as it is kept now."""
        found = await self._find(address)
        user, hashed = found if found is not None else (None, None)
        match = await self._passwords.verify(hashed or await self._dummy_hash(), password)
        if user is None or hashed is None or not match.ok or user.disabled:
            return None
        if not match.is_stale:
            return user, hashed
        newer = await self._passwords.hash(password[:VERIFIED_LENGTH])
        return (user, newer) if await self._accounts.renew_hash(user.id, hashed, newer) else None

    async def _dummy_hash(self) -> str:
        """What an unknown address is compared with."""
        if self._dummy is None:
            self._dummy = await self._passwords.hash(self._ids.token())
        return self._dummy

    def _event(self, actor: Actor, name: EventName, user_id: UserId | None = None, **detail: str) -> Event:
        return Event(name, self._clock.now(), user_id=user_id, detail=detail, actor=actor)


def check_same(password: str, again: str) -> None:
    """Raise `InvalidInput` when a password was not typed the same twice."""
    if password != again:
        raise InvalidInput(FieldProblem("password_again", "The two passwords differ."))
