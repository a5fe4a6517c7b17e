"""Makes one file of a private copy of a tenant's database: `python -I -S settle.py COPY BYTES SECONDS TABLE...`.

A program of its own, with the standard library only: what a tenant put into a database is not trusted. The schema may hold triggers, views,
virtual tables and expressions that run for ever. None of them is needed here, so an authorizer refuses all but a few statements, and the
process may use neither more than SECONDS of a processor, nor write a file longer than BYTES. It exits with 0, or with 1 and the reason.

It takes the write-ahead log into the database, and empties the tables that are named, where they are plain tables.
"""

from __future__ import annotations

import resource
import sqlite3
import sys

MEMORY_BYTES = 1 << 30
PRAGMAS = frozenset({"wal_checkpoint", "journal_mode"})
TABLES = ("sqlite_master", "sqlite_schema")


def limit(file_bytes: int, seconds: int) -> None:
    """Bounds that hold for all that follows."""
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def confined(path: str, named: frozenset[str]) -> sqlite3.Connection:
    """A connection that does what is done here, and nothing else."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "temp_store=MEMORY", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}")

    def allow(action: int, first: str | None, _second: str | None, _database: str | None, inside: str | None) -> int:
        """`inside` names the trigger or view that asks."""
        if inside is not None:
            return sqlite3.SQLITE_DENY
        allowed = (
            action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_TRANSACTION)
            or (action == sqlite3.SQLITE_READ and first in TABLES)
            or (action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_DELETE) and first in named)
            or (action == sqlite3.SQLITE_PRAGMA and first in PRAGMAS)
        )
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    connection.set_authorizer(allow)
    return connection


def settle(path: str, named: frozenset[str]) -> None:
    """Do it. Raises `sqlite3.Error`."""
    connection = confined(path, named)
    for name, kind, statement in connection.execute("SELECT name, type, sql FROM sqlite_master").fetchall():
        if name not in named:
            continue
        if kind != "table" or not str(statement).upper().startswith("CREATE TABLE"):
            raise sqlite3.NotSupportedError(f"{name} is no plain table")
        connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - one of the names that were given
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    connection.close()
    if mode != "delete":
        raise sqlite3.OperationalError("its log can't be taken into it")


if __name__ == "__main__":
    limit(int(sys.argv[2]), int(sys.argv[3]))
    try:
        settle(sys.argv[1], frozenset(sys.argv[4:]))
    except (sqlite3.Error, MemoryError, RecursionError, ValueError) as problem:
        sys.exit(f"{type(problem).__name__}: {problem}"[:200])
