"""Who waits for a call: a user, or nobody. An adapter that has to make calls wait lets those go first for which somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

_background: ContextVar[bool] = ContextVar("background", default=False)


async def in_background(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do work that no user waits for, tasks that it starts included."""
    before = _background.set(True)
    try:
        await work()
    finally:
        _background.reset(before)


def is_background() -> bool:
    """Whether nobody waits for what is being done now."""
    return _background.get()
