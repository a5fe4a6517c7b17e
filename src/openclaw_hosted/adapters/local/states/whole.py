"""Says whether a private copy of a database is whole: `python -I -S whole.py COPY SECONDS`.

A program of its own, as `backup.settle` is: what a user's database holds is not trusted. It exits with 0, or with 1 and the reason.
"""

from __future__ import annotations

import resource
import sqlite3
import sys

MEMORY_BYTES = 1 << 30


def check(path: str) -> str | None:
    """What is wrong with it, in SQLite's words. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        return None if said == "ok" else str(said)
    finally:
        connection.close()


if __name__ == "__main__":
    for what, most in ((resource.RLIMIT_CPU, int(sys.argv[2])), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))
    try:
        sys.exit(check(sys.argv[1]))
    except (sqlite3.Error, MemoryError) as problem:
        sys.exit(f"{type(problem).__name__}: {problem}"[:200])
