"""Whether a person navigates to a page, or a script, frame or service worker of another page on this origin asks for it."""

from __future__ import annotations

from starlette.datastructures import Headers


def reads_along(headers: Headers) -> bool:
    """Whether a service worker gets the answer to a person's navigation before they do. It can't leave out this header."""
    return "service-worker-navigation-preload" in headers


def is_from_worker(headers: Headers) -> bool:
    """Whether a service worker gets the answer, or is to be made of it."""
    return reads_along(headers) or "service-worker" in headers


def navigates(headers: Headers) -> bool:
    """Whether the answer goes to a tab of its own, which no script of another page can read."""
    return headers.get("sec-fetch-dest", "document") == "document" and not is_from_worker(headers)
