"""The whole platform with programs that stand for OpenClaw, so that a bad day takes seconds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import RunningPlatform
from tests.support.ports import free_port
from tests.support.postgres import postgres_server, postgres_url
from tests.support.stand_in import install_stand_in

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[RunningPlatform]:
    """Not started yet."""
    made = RunningPlatform(tmp_path / "data", free_port())
    install_stand_in(made.data_dir)
    yield made
    made.end_all()
    shutil.rmtree(made.data_dir, ignore_errors=True)
