"""What goes wrong in the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx


class NotReached(Exception):
    """The platform did not answer. Whether it did what was asked is not known."""


class ApiError(Exception):
    """The platform refused. `fields` says what is wrong with which part of a request."""

    def __init__(self, status: int, detail: str, fields: Mapping[str, str], retry_after_seconds: float | None = None) -> None:
        told = "; ".join(f"{name}: {message}" for name, message in fields.items())
        super().__init__(told or detail)
        self.status = status
        self.detail = detail
        self.fields = dict(fields)
        self.retry_after_seconds = retry_after_seconds
        """When to try again, where the platform says so."""

    @classmethod
    def of(cls, answer: httpx.Response) -> ApiError:
        """The error that an answer amounts to; it was read before."""
        problem = _problem(answer)
        fields = {str(each.get("field")): str(each.get("message")) for each in problem.get("errors", ()) if isinstance(each, dict)}
        wait = answer.headers.get("retry-after", "")
        detail = str(problem.get("detail") or f"The platform answered {answer.status_code}, not as its API does. Is its address right?")
        return cls(answer.status_code, detail, fields, float(wait) if wait.isdecimal() else None)


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
