"""Versions of OpenClaw, such as 2026.9.6."""

from __future__ import annotations

import re
from typing import Final

_FORM: Final = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:[-+].*)?")


def is_version(text: str) -> bool:
    """Whether it reads as one."""
    return _FORM.fullmatch(text) is not None


def is_newer(one: str, other: str) -> bool:
    """Whether `one` is a later version. What reads as none, such as `latest`, is not."""
    first, second = _FORM.fullmatch(one), _FORM.fullmatch(other)
    return first is not None and second is not None and _numbers(first) > _numbers(second)


def _numbers(found: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(number) for number in found.groups())
