"""A database that only somebody asks is not made."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.store import open_store
from tests.support.postgres import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/platform.sqlite"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return await server.new_database(migrated=False)


async def test_a_database_without_tables_gets_none_from_whoever_only_asks(empty_url: str) -> None:
    with pytest.raises(Unavailable, match="DATABASE_URL"):
        await open_store(empty_url, create=False)
    unchanged = await open_store(empty_url, upgrade=False)
    assert await unchanged.platform.schema_version() == "none"
    await unchanged.aclose()
    made = await open_store(empty_url)
    await made.aclose()
    asked = await open_store(empty_url, create=False)
    assert await asked.accounts.users() == []
    await asked.aclose()
