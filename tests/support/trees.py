"""Trees that a tenant could make."""

from __future__ import annotations

import os
from pathlib import Path

TOO_DEEP = 1200
"""Deeper than Python's recursion. Whoever makes such a tree removes it again: pytest could not."""


def deep_tree(root: Path, levels: int = TOO_DEEP) -> None:
    """Folders in folders, and a file in the last."""
    root.mkdir(parents=True, exist_ok=True)
    folder = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", 0o700, dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(os.open("last", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=folder))
    os.close(folder)
