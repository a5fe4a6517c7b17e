"""Errors in words, for logs, steps and events."""

from __future__ import annotations

from openclaw_hosted.domain.errors import OpenClawHostedError
from openclaw_hosted.domain.foreign import plain_text


def describe(error: BaseException) -> str:
    """An error in one line for people; a stranger's error by its kind alone, since its text may hold anything."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(sorted({describe(leaf) for leaf in leaves(error)}))
    if isinstance(error, TimeoutError):
        return "It took too long."
    return plain_text(str(error)) if isinstance(error, OpenClawHostedError) else f"Unexpected {type(error).__name__}."


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group, however nested; of any other, itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]
