"""Users, sessions, API tokens, one-time links, and grants to open an instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, Float, Text, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.account import ALL_PROOFS, LINK_ID_LENGTH, Invitation, LinkPurpose, Proof, Role, Session, User
from openclaw_hosted.domain.errors import NotAllowed, NotFound, StateConflict
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import ACCOUNT_LOCK, Database
from openclaw_hosted.store.rows import ADD_EVENTS, event_values, to_session, to_user

_U = tables.users.c
_S = tables.sessions.c
_L = tables.links.c
_G = tables.grants.c
IDEMPOTENCY_SECONDS = 86_400.0
_HASH, _NOW = bindparam("hash", type_=Text), bindparam("now", type_=Float)
_BY_SESSION = (
    select(tables.sessions, tables.users)
    .join(tables.users, _U.id == _S.user_id)
    .where(_S.hash == _HASH, _S.expires_at > _NOW, _U.disabled.is_(False))
    .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
)
_BY_TOKEN = (
    select(tables.users).join(tables.tokens, tables.tokens.c.user_id == _U.id).where(tables.tokens.c.hash == _HASH, _U.disabled.is_(False))
)


class SqlAccounts:
    """`AccountStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_user(self, user: User, password_hash: str | None, event: Event | None) -> None:
        values = {
            "id": user.id,
            "email": user.email,
            "role": user.role,
            "password_hash": password_hash,
            "disabled": user.disabled,
            "created_at": user.created_at,
        }
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(tables.users).values(values))
                await _record(connection, event)
        except IntegrityError:
            raise StateConflict("That e-mail address has an account already.") from None

    async def user(self, user_id: UserId) -> User:
        async with self._database.read() as connection:
            return await _user(connection, user_id)

    async def user_by_email(self, email: str) -> tuple[User, str | None]:
        async with self._database.read() as connection:
            row = (await connection.execute(select(tables.users).where(_U.email == email))).one_or_none()
        if row is None:
            raise NotFound("There is no such account.")
        return to_user(row), row.password_hash

    async def users(self) -> Sequence[User]:
        async with self._database.read() as connection:
            return [to_user(row) for row in await connection.execute(select(tables.users).order_by(_U.created_at, _U.id))]

    async def set_password(
        self, user_id: UserId, password_hash: str, proven: str, ends: frozenset[Proof], event: Event | None
    ) -> Sequence[str]:
        async with self._database.write() as connection:
            await self._database.lock(connection, ACCOUNT_LOCK)
            user = await _admissible(connection, user_id, proven)
            await connection.execute(update(tables.users).where(_U.id == user_id).values(password_hash=password_hash))
            await _record(connection, event)
            return await _end(connection, user, ends)

    async def reset_password(
        self, link_hash: str, now: float, password_hash: str, ends: frozenset[Proof], happened: Callable[[User], Event]
    ) -> tuple[User, Sequence[str]] | None:
        is_good = (_L.hash == link_hash) & (_L.purpose == LinkPurpose.PASSWORD_RESET) & (_L.expires_at > now)
        async with self._database.write() as connection:
            await self._database.lock(connection, ACCOUNT_LOCK)
            email = (await connection.execute(delete(tables.links).where(is_good).returning(_L.email))).scalar_one_or_none()
            if email is None:
                return None
            found = (await connection.execute(select(_U.id).where(_U.email == email))).scalar_one_or_none()
            if found is None:
                return None
            user = await _admissible(connection, UserId(found), None)
            await connection.execute(update(tables.users).where(_U.id == user.id).values(password_hash=password_hash))
            await _record(connection, happened(user))
            return user, await _end(connection, user, ends)

    async def renew_hash(self, user_id: UserId, present: str, renewed: str) -> bool:
        same = update(tables.users).where(_U.id == user_id, _U.password_hash == present).values(password_hash=renewed)
        async with self._database.write() as connection:
            return bool((await connection.execute(same)).rowcount == 1)

    async def set_disabled(self, user_id: UserId, *, disabled: bool, event: Event, ends: frozenset[Proof] = ALL_PROOFS) -> Sequence[str]:
        async with self._database.write() as connection:
            await self._database.lock(connection, ACCOUNT_LOCK)
            user = await _user(connection, user_id)
            if disabled and user.role is Role.ADMIN:
                await _keep_an_admin(connection, user_id)
            await connection.execute(update(tables.users).where(_U.id == user_id).values(disabled=disabled))
            await _record(connection, event)
            return await _end(connection, user, ends)

    async def set_role(self, user_id: UserId, role: Role, event: Event, ends: frozenset[Proof] = ALL_PROOFS) -> Sequence[str]:
        async with self._database.write() as connection:
            await self._database.lock(connection, ACCOUNT_LOCK)
            user = await _user(connection, user_id)
            if user.role is Role.ADMIN and role is not Role.ADMIN:
                await _keep_an_admin(connection, user_id)
            await connection.execute(update(tables.users).where(_U.id == user_id).values(role=role))
            await _record(connection, event)
            return await _end(connection, user, ends)

    async def add_session(self, session: Session, event: Event | None, proven: str | None = None) -> None:
        values = {
            "hash": session.hash,
            "user_id": session.user_id,
            "created_at": session.created_at,
            "expires_at": session.expires_at,
            "confirmed_at": session.confirmed_at,
        }
        async with self._database.write() as connection:
            await _admissible(connection, session.user_id, proven)
            await connection.execute(insert(tables.sessions).values(values))
            await _record(connection, event)

    async def session(self, session_hash: str, now: float) -> tuple[Session, User] | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_BY_SESSION, {"hash": session_hash, "now": now})).mappings().one_or_none()
        if row is None:
            return None
        session = Session(*(row[f"sessions_{name}"] for name in ("hash", "user_id", "created_at", "expires_at", "confirmed_at")))
        user = User(row["users_id"], row["users_email"], Role(row["users_role"]), row["users_created_at"], bool(row["users_disabled"]))
        return session, user

    async def sessions(self, now: float) -> Sequence[Session]:
        valid = select(tables.sessions).join(tables.users, _U.id == _S.user_id).where(_S.expires_at > now, _U.disabled.is_(False))
        async with self._database.read() as connection:
            return [to_session(row) for row in await connection.execute(valid)]

    async def sessions_of(self, user_id: UserId, now: float) -> Sequence[Session]:
        own = select(tables.sessions).where(_S.user_id == user_id, _S.expires_at > now).order_by(_S.created_at.desc())
        async with self._database.read() as connection:
            return [to_session(row) for row in await connection.execute(own)]

    async def confirm_session(self, session_hash: str, at: float, event: Event | None = None) -> None:
        confirmed = update(tables.sessions).where(_S.hash == session_hash).values(confirmed_at=at)
        async with self._database.write() as connection:
            if (await connection.execute(confirmed)).rowcount:
                await _record(connection, event)

    async def end_session(self, session_hash: str, event: Event | None = None) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(tables.grants).where(_G.session_hash == session_hash))
            if (await connection.execute(delete(tables.sessions).where(_S.hash == session_hash))).rowcount:
                await _record(connection, event)

    async def sweep(self, now: float) -> None:
        keys = tables.idempotency_keys
        async with self._database.write() as connection:
            await connection.execute(delete(tables.sessions).where(_S.expires_at <= now))
            await connection.execute(delete(tables.links).where(_L.expires_at <= now))
            await connection.execute(delete(tables.grants).where(_G.expires_at <= now))
            await connection.execute(delete(keys).where(keys.c.created_at <= now - IDEMPOTENCY_SECONDS))

    async def add_token(self, token_id: str, token_hash: str, user_id: UserId, label: str, now: float, event: Event) -> None:
        values = {"id": token_id, "hash": token_hash, "user_id": user_id, "label": label, "created_at": now}
        async with self._database.write() as connection:
            await _admissible(connection, user_id, None)
            await connection.execute(insert(tables.tokens).values(values))
            await _record(connection, event)

    async def user_by_token(self, token_hash: str) -> User | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_BY_TOKEN, {"hash": token_hash})).one_or_none()
        return None if row is None else to_user(row)

    async def tokens_of(self, user_id: UserId) -> Sequence[tuple[str, str, float]]:
        table = tables.tokens
        own = select(table).where(table.c.user_id == user_id).order_by(table.c.created_at)
        async with self._database.read() as connection:
            return [(row.id, row.label, row.created_at) for row in await connection.execute(own)]

    async def revoke_token(self, token_id: str, event: Event) -> None:
        async with self._database.write() as connection:
            gone = await connection.execute(delete(tables.tokens).where(tables.tokens.c.id == token_id))
            if gone.rowcount == 0:
                raise NotFound("There is no such token.")
            await _record(connection, event)

    async def add_link(
        self, link_hash: str, purpose: LinkPurpose, email: str | None, role: Role, expires_at: float, event: Event | None
    ) -> None:
        values = {"hash": link_hash, "purpose": purpose, "email": email, "role": role, "expires_at": expires_at}
        async with self._database.write() as connection:
            await self._database.lock(connection, ACCOUNT_LOCK)
            await connection.execute(delete(tables.links).where(_L.purpose == purpose, _L.email.is_not_distinct_from(email)))
            await connection.execute(insert(tables.links).values(values))
            await _record(connection, event)

    async def invitations(self, now: float) -> Sequence[Invitation]:
        good = select(tables.links).where(_L.purpose == LinkPurpose.INVITE, _L.expires_at > now).order_by(_L.expires_at)
        async with self._database.read() as connection:
            rows = (await connection.execute(good)).all()
        return [Invitation(row.hash[:LINK_ID_LENGTH], row.email, Role(row.role), row.expires_at) for row in rows]

    async def remove_invitation(self, invitation_id: str, event: Event) -> None:
        named = func.substr(_L.hash, 1, LINK_ID_LENGTH) == invitation_id
        async with self._database.write() as connection:
            if (await connection.execute(delete(tables.links).where(_L.purpose == LinkPurpose.INVITE, named))).rowcount == 0:
                raise NotFound("This invitation was accepted or revoked already, or is too old.")
            await _record(connection, event)

    async def peek_link(self, link_hash: str, purpose: LinkPurpose, now: float) -> tuple[str | None, Role] | None:
        found = select(tables.links).where(_L.hash == link_hash, _L.purpose == purpose, _L.expires_at > now)
        async with self._database.read() as connection:
            row = (await connection.execute(found)).one_or_none()
        return None if row is None else (row.email, Role(row.role))

    async def use_link(self, link_hash: str, purpose: LinkPurpose, now: float) -> tuple[str | None, Role] | None:
        used = delete(tables.links).where(_L.hash == link_hash, _L.purpose == purpose, _L.expires_at > now).returning(_L.email, _L.role)
        async with self._database.write() as connection:
            row = (await connection.execute(used)).one_or_none()
        return None if row is None else (row.email, Role(row.role))

    async def arm_grant(self, session_hash: str, instance_id: InstanceId, expires_at: float) -> None:
        same = (_G.session_hash == session_hash) & (_G.instance_id == instance_id)
        values = {"session_hash": session_hash, "instance_id": instance_id, "expires_at": expires_at}
        async with self._database.write() as connection:
            await self._database.lock(connection, ACCOUNT_LOCK)
            if (await connection.execute(update(tables.grants).where(same).values(values))).rowcount == 0:
                await connection.execute(insert(tables.grants).values(values))

    async def redeem_grant(self, session_hash: str, instance_id: InstanceId, now: float) -> bool:
        used = delete(tables.grants).where(_G.session_hash == session_hash, _G.instance_id == instance_id, _G.expires_at > now)
        async with self._database.write() as connection:
            return bool((await connection.execute(used)).rowcount == 1)


async def _user(connection: AsyncConnection, user_id: UserId) -> User:
    row = (await connection.execute(select(tables.users).where(_U.id == user_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such account.")
    return to_user(row)


async def _keep_an_admin(connection: AsyncConnection, leaving: UserId) -> None:
    others = select(func.count()).select_from(tables.users).where(_U.role == Role.ADMIN, _U.disabled.is_(False), _U.id != leaving)
    if (await connection.execute(others)).scalar_one() == 0:
        raise StateConflict("This is the last admin. Make someone else an admin first.")


async def _admissible(connection: AsyncConnection, user_id: UserId, proven: str | None) -> User:
    """The user, held until the transaction ends, so that nobody is let in while they are being shut out. Raises `NotAllowed`."""
    row = (await connection.execute(select(tables.users).where(_U.id == user_id).with_for_update(read=True))).one_or_none()
    if row is None:
        raise NotFound("There is no such account.")
    if row.disabled:
        raise NotAllowed("This account is disabled. Ask an admin.")
    if proven not in (None, row.password_hash):
        raise NotAllowed("The password was changed meanwhile. Sign in with the new one.")
    return to_user(row)


async def _end(connection: AsyncConnection, user: User, ends: frozenset[Proof]) -> Sequence[str]:
    """End these proofs of a user; returns the hashes of the sessions among them."""
    if Proof.TOKEN in ends:
        await connection.execute(delete(tables.tokens).where(tables.tokens.c.user_id == user.id))
    if Proof.RESET_LINK in ends:
        own = (_L.purpose == LinkPurpose.PASSWORD_RESET) & (_L.email == user.email)
        await connection.execute(delete(tables.links).where(own))
    if Proof.SESSION not in ends:
        return []
    of_user = select(_S.hash).where(_S.user_id == user.id)
    await connection.execute(delete(tables.grants).where(_G.session_hash.in_(of_user)))
    ended = delete(tables.sessions).where(_S.user_id == user.id).returning(_S.hash)
    return [row.hash for row in await connection.execute(ended)]


async def _record(connection: AsyncConnection, event: Event | None) -> None:
    if event is not None:
        await connection.execute(ADD_EVENTS, event_values(event))
