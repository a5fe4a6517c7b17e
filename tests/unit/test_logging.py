"""Where logs go, and that they go back there."""

from __future__ import annotations

import logging
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from openclaw_hosted.logging import logging_to


def test_what_logged_before_logs_as_before_afterwards(tmp_path: Path) -> None:
    root, log = logging.getLogger(), structlog.get_logger()
    before = structlog.get_config(), root.handlers[:], root.level
    with logging_to("error", tmp_path / "log"):
        log.error("told", cause="a test")
        log.warning("not told")
    assert (structlog.get_config(), root.handlers, root.level) == before
    assert [line.count('"event"') for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()] == [1]
    with capture_logs() as said:
        log.info("told again")
    assert [line["event"] for line in said] == ["told again"]
