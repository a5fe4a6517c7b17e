"""A program that stands for OpenClaw, installed where the platform looks for the real one."""

from __future__ import annotations

import shutil
from pathlib import Path

from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.adapters.local.files import write_json
from openclaw_hosted.adapters.local.install import MARKER, lock_hash

PROGRAM = Path(__file__).parent / "openclaw.mjs"


def install_stand_in(data_dir: Path) -> None:
    """Have the platform of a data directory start it instead of OpenClaw."""
    root = data_dir / "openclaw" / f"{OPENCLAW_VERSION}-{lock_hash()[:8]}"
    entry = root / "node_modules" / "openclaw" / "openclaw.mjs"
    entry.parent.mkdir(parents=True)
    shutil.copyfile(PROGRAM, entry)
    write_json(root / MARKER, {"version": OPENCLAW_VERSION, "lock": lock_hash()})
