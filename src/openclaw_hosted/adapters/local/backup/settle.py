"""Makes one file of a private copy of a tenant's database: `python -I -S settle.py COPY BYTES SECONDS KEPT ROWS...`.

A program of its own, with the standard library only: what a tenant put into a database is not trusted. The schema may hold triggers, views,
virtual tables and expressions that run for ever. None of them is needed here, so an authorizer refuses all but a few statements, and the
process may use neither more than SECONDS of a processor, nor write a file longer than BYTES. It exits with 0, or with 1 and the reason.

It takes the write-ahead log into the database, and removes the rows that are named, where they are in plain tables: ROWS is `TABLE` for all
of them, or `TABLE/COLUMN/BEGINNING`. Where KEPT is another private copy and not `-`, its rows of these tables come in their place, but for
`-TABLE`.

An older SQLite (3.40 does) takes JSON functions in a schema for unsafe, and OpenClaw's tables use them: such a database is opened once
more with its schema trusted, under the same authorizer and limits.
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


def confine(connection: sqlite3.Connection, named: frozenset[str], kept: str | None, *, trusts: bool) -> None:
    """Have it do what is done here, and nothing else."""
    trusted = f"trusted_schema={'ON' if trusts else 'OFF'}"
    for pragma in (trusted, "cell_size_check=ON", "mmap_size=0", "temp_store=MEMORY", "foreign_keys=OFF", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
    if kept is not None:
        connection.execute("ATTACH DATABASE ? AS kept", (kept,))

    def allow(action: int, first: str | None, _second: str | None, _database: str | None, inside: str | None) -> int:
        """`inside` names the trigger or view that asks."""
        if inside is not None:
            return sqlite3.SQLITE_DENY
        allowed = (
            action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_TRANSACTION)
            or (action == sqlite3.SQLITE_READ and first in TABLES)
            or (action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_DELETE) and first in named)
            or (kept is not None and action == sqlite3.SQLITE_INSERT and first in named)
            or (action == sqlite3.SQLITE_PRAGMA and first in PRAGMAS)
        )
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    connection.set_authorizer(allow)


def plain_tables(connection: sqlite3.Connection, database: str, named: frozenset[str]) -> set[str]:
    """Those of the named that are there. Raises `sqlite3.NotSupportedError` where one is something else."""
    found = set()
    for name, kind, statement in connection.execute(f"SELECT name, type, sql FROM {database}.sqlite_master").fetchall():  # noqa: S608
        if name in named:
            if kind != "table" or not str(statement).upper().startswith("CREATE TABLE"):
                raise sqlite3.NotSupportedError(f"{name} is no plain table")
            found.add(name)
    return found


def settle(path: str, rows: list[str], kept: str | None, *, trusts: bool) -> None:
    """Do it. Raises `sqlite3.Error`."""
    asked = {table: tuple(rest) for table, *rest in (each.removeprefix("-").split("/") for each in rows)}
    emptied = {each.removeprefix("-") for each in rows if each.startswith("-")}
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        confine(connection, frozenset(asked), kept, trusts=trusts)
        exchange(connection, asked, frozenset() if kept is None else frozenset(asked) - emptied)
        connection.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchall()
        (mode,) = connection.execute("PRAGMA main.journal_mode=DELETE").fetchone()
    finally:
        connection.close()
    if mode != "delete":
        raise sqlite3.OperationalError("its log can't be taken into it")


def exchange(connection: sqlite3.Connection, asked: dict[str, tuple[str, ...]], kept: frozenset[str]) -> None:
    """Remove the rows that are asked for; in those tables that are `kept`, the other copy's come in their place."""
    there = plain_tables(connection, "main", frozenset(asked))
    kept_there = plain_tables(connection, "kept", kept) if kept else set()
    for name in sorted(there):
        where: str = ""
        given: tuple[str, ...] = ()
        if asked[name]:
            column, beginning = asked[name]
            where = f'WHERE "{column}" >= ? AND "{column}" < ?'
            given = (beginning, beginning[:-1] + chr(ord(beginning[-1]) + 1))
        connection.execute(f'DELETE FROM main."{name}" {where}', given)  # noqa: S608 - one of the names that were given
        if name in kept_there:
            connection.execute(f'INSERT INTO main."{name}" SELECT * FROM kept."{name}" {where}', given)  # noqa: S608 - the same


def main(path: str, kept: str, rows: list[str]) -> None:
    """Without trust, and where only that is in the way, with it."""
    other = None if kept == "-" else kept
    for trusts in (False, True):
        try:
            return settle(path, rows, other, trusts=trusts)
        except sqlite3.DatabaseError as problem:
            if trusts or "unsafe use of" not in str(problem):
                raise
    return None


if __name__ == "__main__":
    limit(int(sys.argv[2]), int(sys.argv[3]))
    try:
        main(sys.argv[1], sys.argv[4], sys.argv[5:])
    except (sqlite3.Error, MemoryError, RecursionError, ValueError) as problem:
        sys.exit(f"{type(problem).__name__}: {problem}"[:200])
