"""Nobody guesses a password, and nobody shuts anybody else out by trying to."""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from openclaw_hosted.domain.account import Session, User
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.errors import LimitReached, NotAllowed, Unavailable
from openclaw_hosted.services import passwords
from openclaw_hosted.services.guesses import (
    FAILURES_BEFORE_SLOWING,
    FAILURES_OF_NETWORK,
    FAILURES_TOGETHER,
    SLOWEST_SECONDS,
    WINDOW_SECONDS,
    GuessLimiter,
)
from openclaw_hosted.services.limits import KEYS_KEPT, Attempts
from tests.integration.web.conftest import ORIGIN, PAGE, PASSWORD, World
from tests.integration.web.memory import MemoryClock
from tests.support.actors import acting
from tests.support.waiting import PATIENCE_SECONDS


@asynccontextmanager
async def coming_from(world: World, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(world.app, raise_app_exceptions=False, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=PAGE) as client:
        yield client


async def sign_in(world: World, address: str, email: str, password: str = PASSWORD) -> int:
    async with coming_from(world, address) as client:
        return (await client.post("/sign-in", data={"email": email, "password": password})).status_code


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(world: World, ada: User, bob: User) -> None:
    answers = Counter(await asyncio.gather(*(sign_in(world, "192.0.2.7", ada.email, f"wrong {n}") for n in range(60))))
    assert answers == {403: FAILURES_TOGETHER, 429: 60 - FAILURES_TOGETHER}
    assert await sign_in(world, "192.0.2.7", bob.email) == 303, "others behind the same address get in"
    before = world.clock.at
    assert await sign_in(world, "198.51.100.9", ada.email) == 303, "and so does its user, from elsewhere"
    assert before < world.clock.at <= before + SLOWEST_SECONDS
    assert await sign_in(world, "192.0.2.7", ada.email) == 429
    world.clock.at += WINDOW_SECONDS + 1
    assert await sign_in(world, "192.0.2.7", ada.email) == 303


async def test_eight_people_behind_one_address_who_mistype_do_not_stop_the_ninth(world: World, admin: User) -> None:
    for number in range(8):
        assert await sign_in(world, "192.0.2.7", f"person{number}@example.com", "wrong") == 403
    assert await sign_in(world, "192.0.2.7", admin.email) == 303


async def test_a_password_that_is_asked_for_again_counts_as_a_guess_and_makes_no_session(world: World, ada: User) -> None:
    accounts = world.kit.accounts
    session = Session("not kept", ada.id, 0.0, 1e12)
    await accounts.confirm(acting(ada), session, PASSWORD)
    for _ in range(FAILURES_TOGETHER):
        with pytest.raises(NotAllowed):
            await accounts.confirm(acting(ada), session, "wrong")
    with pytest.raises(LimitReached):
        await accounts.confirm(acting(ada), session, PASSWORD)
    assert await accounts.sessions(acting(ada)) == []


def test_who_signed_in_from_a_network_before_gets_in_while_others_guess_there() -> None:
    limiter = GuessLimiter(MemoryClock())
    limiter.succeeded(limiter.begin("ada@example.com", "192.0.2.7"))
    for number in range(FAILURES_OF_NETWORK):
        limiter.begin(f"victim{number}@example.com", "192.0.2.7")
        limiter.succeeded(limiter.begin("ada@example.com", "192.0.2.7"))
    with pytest.raises(LimitReached):
        limiter.begin("bob@example.com", "192.0.2.7")
    limiter.succeeded(limiter.begin("ada@example.com", "192.0.2.7"))
    with pytest.raises(LimitReached):
        limiter.begin("bob@example.com", "192.0.2.7")


def test_a_known_network_guesses_no_longer_than_another_one() -> None:
    limiter = GuessLimiter(MemoryClock())
    limiter.succeeded(limiter.begin("ada@example.com", "192.0.2.7"))
    for _ in range(FAILURES_TOGETHER):
        limiter.begin("ada@example.com", "192.0.2.7")
    with pytest.raises(LimitReached):
        limiter.begin("ada@example.com", "192.0.2.7")


def test_an_account_that_many_guess_at_is_slowed_down_but_for_its_own_user() -> None:
    limiter = GuessLimiter(MemoryClock())
    limiter.succeeded(limiter.begin("ada@example.com", "203.0.113.5"))
    waits = [limiter.begin("ada@example.com", f"192.0.2.{number}").wait_seconds for number in range(60)]
    assert waits == sorted(waits)
    assert (waits[FAILURES_BEFORE_SLOWING - 1], waits[-1]) == (0.0, SLOWEST_SECONDS)
    assert limiter.begin("ada@example.com", "203.0.113.5").wait_seconds == 0
    assert limiter.begin("ada@example.com", "198.51.100.9").wait_seconds == SLOWEST_SECONDS
    assert limiter.begin("bob@example.com", "192.0.2.1").wait_seconds == 0


def test_the_addresses_of_one_ipv6_network_count_together() -> None:
    limiter = GuessLimiter(MemoryClock())
    for number in range(FAILURES_TOGETHER):
        limiter.begin("ada@example.com", f"2001:db8::{number:x}")
    with pytest.raises(LimitReached):
        limiter.begin("ada@example.com", "2001:db8::ffff")
    limiter.begin("ada@example.com", "2001:db8:0:1::1")
    for _ in range(FAILURES_TOGETHER):
        limiter.begin("bob@example.com", "::ffff:192.0.2.7")
    with pytest.raises(LimitReached):
        limiter.begin("bob@example.com", "192.0.2.7")


def test_a_limiter_remembers_so_many_keys_and_no_more() -> None:
    attempts = Attempts(MemoryClock(), 8, WINDOW_SECONDS)
    for number in range(KEYS_KEPT + 100):
        attempts.add(str(number))
    assert len(attempts) == KEYS_KEPT
    assert (attempts.recent("0"), attempts.recent(str(KEYS_KEPT + 99))) == (0, 1)


class CountingHasher(PasswordHasher):
    """Hashes at once, and counts how many do so at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self._lock, self.now, self.most = threading.Lock(), 0, 0
        self._both = threading.Barrier(passwords.HASHES_AT_ONCE)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:  # noqa: ARG002
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self._both.wait(timeout=PATIENCE_SECONDS)
        with self._lock:
            self.now -= 1
        return "hash"


async def test_a_flood_of_sign_ins_hashes_few_at_once_and_is_turned_away_in_the_end() -> None:
    hasher = CountingHasher()
    kept = passwords.Passwords(hasher)
    outcomes = await asyncio.gather(*(kept.hash("x") for _ in range(passwords.WAITING + 30)), return_exceptions=True)
    assert sum(outcome == "hash" for outcome in outcomes) == passwords.WAITING
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 30
    assert hasher.most == passwords.HASHES_AT_ONCE
    assert set(await asyncio.gather(kept.hash("x"), kept.hash("x"))) == {"hash"}, "those that come later have a turn"


@pytest.mark.parametrize(("kept", "typed"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
async def test_a_password_is_the_same_from_every_keyboard(world: World, ada: User, kept: str, typed: str) -> None:
    password = "Käsespätzle über alles"
    link = await world.kit.accounts.reset_link(SETUP, ada.id)
    async with world.client(**PAGE) as client:
        new = unicodedata.normalize(kept, password)  # type: ignore[arg-type]
        assert (await client.post(f"/reset/{link}", data={"password": new, "password_again": new})).status_code == 303
    assert await sign_in(world, "192.0.2.7", ada.email, unicodedata.normalize(typed, password)) == 303  # type: ignore[arg-type]


async def test_a_password_hashed_as_it_was_typed_still_fits_and_is_hashed_anew(world: World, ada: User) -> None:
    typed = unicodedata.normalize("NFD", "Käsespätzle über alles")
    _, present = await world.store.accounts.user_by_email(ada.email)
    assert await world.store.accounts.renew_hash(ada.id, present or "", PasswordHasher().hash(typed))
    assert await sign_in(world, "192.0.2.7", ada.email, typed) == 303
    _, renewed = await world.store.accounts.user_by_email(ada.email)
    assert PasswordHasher().verify(renewed or "", unicodedata.normalize("NFC", typed))
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(renewed or "", typed)
    assert await sign_in(world, "192.0.2.7", ada.email, unicodedata.normalize("NFC", typed)) == 303
