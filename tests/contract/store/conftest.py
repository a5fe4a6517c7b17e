"""The same tests on SQLite and on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from openclaw_hosted.store import Store, open_store
from tests.support.postgres import postgres_server, postgres_url
from tests.support.store import new_database

from .make import OTHER, OWNER, a_user

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that nobody uses yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/platform.sqlite"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A store with two users."""
    if database_url.startswith("sqlite"):
        assert new_database(tmp_path / "platform.sqlite") == database_url
    async with AsyncExitStack() as stack:
        opened = await open_store(database_url, upgrade=False)
        stack.push_async_callback(opened.aclose)
        await opened.accounts.add_user(a_user(OWNER), None, None)
        await opened.accounts.add_user(a_user(OTHER), None, None)
        yield opened


@pytest.fixture
async def replica(database_url: str, store: Store) -> AsyncIterator[Store]:
    """A second control plane on the same database."""
    assert await store.platform.schema_version() != "none"
    opened = await open_store(database_url, upgrade=False)
    yield opened
    await opened.aclose()
