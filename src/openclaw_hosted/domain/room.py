"""Room on the disk that volumes share, in words for people."""

from __future__ import annotations

from typing import Final

OPERATORS_WAY_OUT: Final = "Ask its user to delete files, delete the instance, or make the disk larger."


def in_gigabytes(amount: int) -> str:
    """For people."""
    return f"{amount / 1e9:.1f} GB"
