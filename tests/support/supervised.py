"""Supervised programs whose supervisor starts them again sooner, and of which a test knows that it has looked."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.files import read_json, write_json
from openclaw_hosted.adapters.local.processes import supervisor
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from tests.support.waiting import until

PROGRAM = Path(supervisor.__file__)
BACKOFF = f"FIRST_BACKOFF_SECONDS = {supervisor.FIRST_BACKOFF_SECONDS}\n"


def hurry_restarts(monkeypatch: pytest.MonkeyPatch, folder: Path, first_backoff_seconds: float) -> None:
    """Supervisors from now on are the real program with another pause before the first new start; with 0 none ever pauses."""
    code = PROGRAM.read_text()
    assert BACKOFF in code
    hurried = folder / "hurried_supervisor.py"
    hurried.write_text(code.replace(BACKOFF, f"FIRST_BACKOFF_SECONDS = {first_backoff_seconds}\n"))
    monkeypatch.setattr(supervisor, "__file__", str(hurried))


async def supervisor_has_looked(process: SupervisedProcess) -> None:
    """Wait until its supervisor has done all that was due: it tells how things are whenever it reads what is wanted, and acts then.

    Twice, since it may have been about to look.
    """
    wanted, told = process.directory / "desired.json", process.directory / "status.json"
    for _ in range(2):
        before = told.stat().st_mtime_ns
        write_json(wanted, read_json(wanted) or {})
        await process.supervise()
        await until(lambda before=before: told.stat().st_mtime_ns != before)  # type: ignore[misc]
