"""Users, and what lets them in: passwords, sessions, tokens, links and grants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from openclaw_hosted.domain.account import ALL_PROOFS, Invitation, LinkPurpose, Proof, Role, Session, User
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.naming import InstanceId, UserId


class AccountStore(Protocol):
    """Users, sessions, API tokens, one-time links, and grants to open an instance."""

    async def add_user(self, user: User, password_hash: str | None, event: Event | None) -> None:
        """Raises `StateConflict` when the e-mail address is taken."""
        ...

    async def user(self, user_id: UserId) -> User:
        """Raises `NotFound`."""
        ...

    async def user_by_email(self, email: str) -> tuple[User, str | None]:
        """The user and the password's hash. Raises `NotFound`."""
        ...

    async def users(self) -> Sequence[User]:
        """All, oldest first."""
        ...

    async def set_password(
        self, user_id: UserId, password_hash: str, proven: str, ends: frozenset[Proof], event: Event | None
    ) -> Sequence[str]:
        """Set it where `proven` is the present hash; `ends` go with it. Returns the hashes of the sessions that ended. Raises `NotAllowed`
        where the password was changed meanwhile, or the user is disabled; nothing changed then."""
        ...

    async def reset_password(
        self, link_hash: str, now: float, password_hash: str, ends: frozenset[Proof], happened: Callable[[User], Event]
    ) -> tuple[User, Sequence[str]] | None:
        """Use a reset link up and set the password of its user; `ends` go with it. Returns the user and the hashes of the sessions that
        ended; None where the link is unknown, used or out of date. Raises `NotAllowed` for a disabled user; nothing changed then."""
        ...

    async def renew_hash(self, user_id: UserId, present: str, renewed: str) -> bool:
        """The same password hashed anew; all goes on. False, and nothing changed, where `present` is not the hash any more."""
        ...

    async def set_disabled(self, user_id: UserId, *, disabled: bool, event: Event, ends: frozenset[Proof] = ALL_PROOFS) -> Sequence[str]:
        """`ends` go with it; returns the hashes of the sessions that ended. Raises `StateConflict` for the last admin."""
        ...

    async def set_role(self, user_id: UserId, role: Role, event: Event, ends: frozenset[Proof] = ALL_PROOFS) -> Sequence[str]:
        """`ends` go with it; returns the hashes of the sessions that ended. Raises `StateConflict` for the last admin."""
        ...

    async def add_session(self, session: Session, event: Event | None, proven: str | None = None) -> None:
        """A new sign-in. Raises `NotAllowed` for a disabled user, and where `proven`, if given, is not the password's hash any more."""
        ...

    async def session(self, session_hash: str, now: float) -> tuple[Session, User] | None:
        """The session and its user, if it is neither expired nor revoked, and the user not disabled."""
        ...

    async def sessions(self, now: float) -> Sequence[Session]:
        """All that are valid now."""
        ...

    async def sessions_of(self, user_id: UserId, now: float) -> Sequence[Session]:
        """The valid sessions of one user, newest first."""
        ...

    async def confirm_session(self, session_hash: str, at: float, event: Event | None = None) -> None:
        """Its user gave the password again. Does nothing where it is unknown."""
        ...

    async def end_session(self, session_hash: str, event: Event | None = None) -> None:
        """Revoke it. Does nothing where it is unknown."""
        ...

    async def sweep(self, now: float) -> None:
        """Drop expired sessions, links, grants, and idempotency keys older than a day."""
        ...

    async def add_token(self, token_id: str, token_hash: str, user_id: UserId, label: str, now: float, event: Event) -> None:
        """Keep the SHA-256 of a new API token. Raises `NotAllowed` for a disabled user."""
        ...

    async def user_by_token(self, token_hash: str) -> User | None:
        """Whose API token it is; None for an unknown one, or a disabled user."""
        ...

    async def tokens_of(self, user_id: UserId) -> Sequence[tuple[str, str, float]]:
        """Id, label and creation time of a user's tokens."""
        ...

    async def revoke_token(self, token_id: str, event: Event) -> None:
        """Raises `NotFound`."""
        ...

    async def add_link(
        self, link_hash: str, purpose: LinkPurpose, email: str | None, role: Role, expires_at: float, event: Event | None
    ) -> None:
        """Keep the SHA-256 of a one-time link. It replaces earlier ones for the same purpose and address."""
        ...

    async def invitations(self, now: float) -> Sequence[Invitation]:
        """Those that can still be followed, the one that ends first first."""
        ...

    async def remove_invitation(self, invitation_id: str, event: Event) -> None:
        """Have its link not work any more. Raises `NotFound`."""
        ...

    async def peek_link(self, link_hash: str, purpose: LinkPurpose, now: float) -> tuple[str | None, Role] | None:
        """E-mail address and role of a link that is still good, or None."""
        ...

    async def use_link(self, link_hash: str, purpose: LinkPurpose, now: float) -> tuple[str | None, Role] | None:
        """Like `peek_link`, and the link is used up: of two at once, one gets None."""
        ...

    async def arm_grant(self, session_hash: str, instance_id: InstanceId, expires_at: float) -> None:
        """Let this session fetch one bootstrap ticket for this instance."""
        ...

    async def redeem_grant(self, session_hash: str, instance_id: InstanceId, now: float) -> bool:
        """Use the grant up. True once, for the session that armed it, before it expires."""
        ...
