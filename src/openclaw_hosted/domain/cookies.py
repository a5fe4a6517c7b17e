"""The name of the cookie that holds a session: the web sets it, the edge looks for it."""

from __future__ import annotations

from typing import Final

COOKIE: Final = "ochs"
"""Also the whole name, before there were marks."""


def session_cookies(mark: str, *, secure: bool) -> tuple[str, ...]:
    """The names under which a session is taken, the one that is set first.

    Cookies know no ports: the platform's `mark` keeps two platforms on one host apart. Over HTTPS browsers let nobody but this very
    host set a name with the prefix, so no other counts there.
    """
    prefix = "__Host-" if secure else ""
    return (f"{prefix}{COOKIE}-{mark}", f"{prefix}{COOKIE}") if mark else (f"{prefix}{COOKIE}",)
