"""A gateway's log, readable and with credentials blotted out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from openclaw_hosted.domain.foreign import foreign_object
from openclaw_hosted.domain.text import printable

BLOT: Final = "●●●"
TAIL_BYTES: Final = 512_000
SHORTEST_SECRET: Final = 6
CREDENTIAL_LOOKS: Final = re.compile(
    r"sk-[A-Za-z0-9_\-]{8,}|xox[a-z]-[A-Za-z0-9\-]{8,}|xapp-[A-Za-z0-9\-]{8,}|AIza[A-Za-z0-9_\-]{20,}|\b\d{6,12}:[A-Za-z0-9_\-]{30,}"
    r"|\b[MNO][A-Za-z0-9_\-]{22,28}\.[A-Za-z0-9_\-]{5,8}\.[A-Za-z0-9_\-]{25,}"
    r"|(?<=[Bb]earer )[^\s\"',]+|(?<=[Tt]oken=)[^\s&\"']+|(?<=[Kk]ey=)[^\s&\"']+"
)
FAILURE: Final = re.compile(r"Gateway failed to start|Gateway start blocked|Refusing to bind|EADDRINUSE|SECRETS_OWNER_UNAVAILABLE")


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without these secrets, nor anything that looks like a credential or steers a terminal."""
    text = printable(text)
    for secret in sorted((value for value in secrets if len(value) >= SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(secret, BLOT)
    return CREDENTIAL_LOOKS.sub(BLOT, text)


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file, oldest first; none where there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            content = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return content[-lines:] if lines > 0 else []


def readable(line: str) -> str:
    """A line that OpenClaw prints, or of its log file, as people read it."""
    entry = _entry(line)
    if entry is None:
        return line
    about = _about(entry)
    parts = [_moment(str(entry.get("time", ""))), str(entry.get("level") or about.get("logLevelName", "")).upper()]
    if subsystem := entry.get("subsystem") or _subsystem(about):
        parts.append(f"[{subsystem}]")
    return " ".join([*parts, str(entry["message"])])


def failure_since(lines: Sequence[str], since: float) -> str | None:
    """What OpenClaw said about a failure to start after this moment (seconds since the epoch); the last such message."""
    for line in reversed(lines):
        entry = _entry(line)
        message = str(entry["message"]) if entry else line
        if FAILURE.search(message):
            return message if entry is None or _seconds(entry) >= since - 1 else None
    return None


def _entry(line: str) -> dict[str, Any] | None:
    body = foreign_object(line) if line.startswith("{") else None
    return body if body is not None and "message" in body else None


def _about(entry: dict[str, Any]) -> dict[str, Any]:
    """What a line of the log file says of itself; a printed one has its level beside the message."""
    about = entry.get("_meta")
    return about if isinstance(about, dict) else {}


def _subsystem(about: dict[str, Any]) -> str | None:
    """The file has it as JSON within JSON."""
    named = foreign_object(str(about.get("name"))) or {}
    found = named.get("subsystem") or named.get("module")
    return str(found) if found else None


def _moment(time: str) -> str:
    """In UTC, where its zone is known."""
    try:
        moment = datetime.fromisoformat(time)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return time[:19].replace("T", " ")


def _seconds(entry: dict[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(entry.get("time"))).timestamp()
    except (ValueError, OverflowError):
        return 0.0
