"""Passwords, hashed with argon2id: few at once, as each takes 64 MB and some 50 ms of a core, and one form for all keyboards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from openclaw_hosted.domain.account import fold_password
from openclaw_hosted.domain.errors import Unavailable

HASHES_AT_ONCE: Final = 2
WAITING: Final = 64
"""How many hashes may wait their turn; they take two seconds."""
VERIFIED_LENGTH: Final = 1000
"""More of a password than this is not looked at; none is that long."""


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a password was the right one, and if so whether its hash should be made anew."""

    ok: bool
    is_stale: bool = False


class Passwords:
    """Hashes and verifies, `HASHES_AT_ONCE` at most at a time. Raises `Unavailable` when more than `WAITING` wait already."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """A new hash, of the password's one form."""
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, fold_password(password))

    async def verify(self, hashed: str, password: str) -> Match:
        """Whether `hashed` was made of `password`. An old one may have been made of another Unicode form, as it was typed; it is tried
        second, for every account alike, so that the time tells nothing."""
        typed = password[:VERIFIED_LENGTH]
        async with self._turn():
            return await asyncio.to_thread(self._verify, hashed, typed)

    def _verify(self, hashed: str, typed: str) -> Match:
        form = fold_password(typed)
        if self._is_of(hashed, form):
            return Match(ok=True, is_stale=self._hasher.check_needs_rehash(hashed))
        return Match(ok=form != typed and self._is_of(hashed, typed), is_stale=True)

    def _is_of(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password.encode(errors="replace"))
        except (VerificationError, InvalidHashError):
            return False

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= WAITING:
            raise Unavailable("Too many people sign in at this moment. Try again in a few seconds.")
        self._waiting += 1
        try:
            async with self._turns:
                yield
        finally:
            self._waiting -= 1
