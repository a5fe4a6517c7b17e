"""Finds the keys that an OpenClaw keeps in its state, and names the rows that hold them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from openclaw_hosted.adapters.local.backup import databases
from openclaw_hosted.adapters.local.backup.databases import Busy
from openclaw_hosted.adapters.local.beneath import Entry, Walk, open_plain
from openclaw_hosted.adapters.local.states import stored
from openclaw_hosted.domain.errors import Conflict, Unavailable
from openclaw_hosted.domain.foreign import FOREIGN_BYTES, foreign_object
from openclaw_hosted.domain.old_keys import KEY_ROWS, KEY_TABLES, OWN_DATABASES, PROFILES

MOST_ENTRIES: Final = 300_000
READ_SECONDS: Final = 60
LOCKED_SECONDS: Final = 10.0
ROWS: Final = (*KEY_TABLES, f"{KEY_ROWS[0]}/{KEY_ROWS[1]}/{KEY_ROWS[3]}")
"""Those with keys, as `settle.py` takes them."""
COLUMNS: Final = (
    *(f"{table}/{column}" for table, column in KEY_TABLES.items()),
    f"{KEY_ROWS[0]}/{KEY_ROWS[2]}/{KEY_ROWS[1]}/{KEY_ROWS[3]}",
)


def kept_stores(root: Path) -> list[dict[str, Any]]:
    """The stores of profiles below a state directory, in files and databases; whoever writes there goes on. Raises `Conflict` for one of
    OpenClaw's databases that can't be read, `Unavailable` where it stays locked."""
    found = []
    for entry in Walk(root, MOST_ENTRIES):
        if PROFILES.fullmatch(entry.relative):
            found.append(foreign_object(_text(entry)) or {})
        elif OWN_DATABASES.fullmatch(entry.relative) and databases.is_database(entry.folder, entry.name):
            found += [foreign_object(text) or {} for text in _texts(entry)]
    return found


def _text(entry: Entry) -> bytes:
    with os.fdopen(open_plain(entry.folder, entry.name), "rb") as opened:
        return opened.read(FOREIGN_BYTES)


def _texts(entry: Entry) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "database"
        try:
            databases.copy_database(entry.folder, entry.name, copy, time.monotonic() + LOCKED_SECONDS, lambda: None)
        except Busy:
            raise Unavailable(f"The database {entry.relative} is written to all the time.") from None
        command = [sys.executable, "-I", "-S", stored.__file__, str(copy), str(READ_SECONDS), *COLUMNS]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=READ_SECONDS * 2, check=False, cwd="/")
        except subprocess.TimeoutExpired:
            raise Conflict(f"The database {entry.relative} takes too long to read.") from None
    if done.returncode != 0:
        raise Conflict(f"The database {entry.relative} can't be read for the keys in it: {done.stderr.strip()[-200:]}")
    return [str(text) for text in json.loads(done.stdout)]
