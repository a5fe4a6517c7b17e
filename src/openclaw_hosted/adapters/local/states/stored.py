"""Prints what a column of some tables of a private copy of a database holds, as JSON: `python -I -S stored.py COPY SECONDS COLUMN...`.

A program of its own, as `backup.settle` is. COLUMN is `TABLE/COLUMN`, or `TABLE/COLUMN/KEY/BEGINNING` for the rows whose key begins so.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys

MEMORY_BYTES = 1 << 30
MOST_BYTES = 4_000_000


def read(path: str, columns: list[str], *, trusts: bool) -> list[str]:
    """The texts. Raises `sqlite3.Error`."""
    asked = [column.split("/") for column in columns]
    named = {"sqlite_master", *(each[0] for each in asked)}

    def allow(action: int, first: str | None, _second: str | None, _database: str | None, inside: str | None) -> int:
        allowed = action == sqlite3.SQLITE_SELECT or (action == sqlite3.SQLITE_READ and first in named)
        return sqlite3.SQLITE_OK if allowed and inside is None else sqlite3.SQLITE_DENY

    connection = sqlite3.connect(path)
    try:
        connection.execute(f"PRAGMA trusted_schema={'ON' if trusts else 'OFF'}")
        connection.set_authorizer(allow)
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        texts = []
        for table, column, *rest in asked:
            if table in there:
                where, given = "", []
                if rest:
                    where, given = f'WHERE "{rest[0]}" >= ? AND "{rest[0]}" < ?', [rest[1], rest[1][:-1] + chr(ord(rest[1][-1]) + 1)]
                found = connection.execute(f'SELECT "{column}" FROM "{table}" {where}', given)  # noqa: S608 - the names that were given
                texts += [text for (text,) in found if isinstance(text, str) and len(text) <= MOST_BYTES]
        return texts
    finally:
        connection.close()


def main(path: str, columns: list[str]) -> list[str]:
    """Without trust in the schema, and where only that is in the way, with it; see `backup.settle`."""
    try:
        return read(path, columns, trusts=False)
    except sqlite3.DatabaseError as problem:
        if "unsafe use of" not in str(problem):
            raise
        return read(path, columns, trusts=True)


if __name__ == "__main__":
    for what, most in ((resource.RLIMIT_CPU, int(sys.argv[2])), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))
    try:
        sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[3:])))
    except (sqlite3.Error, MemoryError, ValueError) as problem:
        sys.exit(f"{type(problem).__name__}: {problem}"[:200])
