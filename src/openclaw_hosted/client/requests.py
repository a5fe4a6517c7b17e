"""How an operation sends its request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Requests(ABC):
    """Each method below raises `ApiError` where the platform refuses, and `NotReached` where it does not answer."""

    @abstractmethod
    def _call(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, headers: Mapping[str, str | None] | None = None,
        body: object = None,
    ) -> Any:  # fmt: skip
        """Send a request below /api/v1; what is None is left out. Returns the JSON that was answered."""
