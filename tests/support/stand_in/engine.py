"""A command that stands for Docker's, for what goes wrong with an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMANDS = Path(__file__).parent


@dataclass(frozen=True)
class StandInEngine:
    """Answers, and refuses whatever machines need beyond an image. Its folder is what the command knows."""

    folder: Path

    @property
    def builds(self) -> int:
        """How often it built an image."""
        return len((self.folder / "builds").read_text().splitlines())

    def has_image(self) -> None:
        (self.folder / "built").touch()

    def reaches_no_registry(self) -> None:
        (self.folder / "no-registry").touch()

    def goes_away(self) -> None:
        self.folder.rename(self.folder.with_name("away"))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInEngine:
    """In the place of Docker's own, for this test."""
    made = StandInEngine(tmp_path / "engine")
    made.folder.mkdir()
    monkeypatch.setenv("PATH", f"{COMMANDS}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_CONFIG", str(made.folder))
    return made
