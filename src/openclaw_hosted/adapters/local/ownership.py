"""Whose what a data directory holds is: a file in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from openclaw_hosted.adapters.local.files import read_json, write_json


class LocalOwnership:
    """`Ownership` of a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "platform.json"

    async def owner(self) -> str | None:
        """What the file says."""
        body = await asyncio.to_thread(read_json, self._path)
        return None if body is None else str(body["mark"])

    async def claim(self, mark: str) -> None:
        """Write the file."""
        await asyncio.to_thread(write_json, self._path, {"mark": mark})
