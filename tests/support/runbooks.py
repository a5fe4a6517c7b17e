"""The commands that the runbooks name, read from their pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
COMMAND = re.compile(r"^ {4,}(openclaw-hosted .+)$|`(openclaw-hosted [^`]+)`", re.MULTILINE)


def commands_by_page() -> Mapping[str, Sequence[str]]:
    """By the name of the page, in the order of the page, each once."""
    found = {page.stem: COMMAND.findall(page.read_text()) for page in sorted(PAGES.glob("*.md"))}
    return {page: list(dict.fromkeys(" ".join((block or inline).split()) for block, inline in each)) for page, each in found.items()}
