"""The owner of a volume, in a process of its own, as OpenClaw in a container is: locks of one process do not keep that process out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openclaw_hosted.adapters.local.backup.allowance import Allowance
from openclaw_hosted.adapters.local.backup.archive import Manifest, make_links, unpack, writing
from openclaw_hosted.adapters.local.backup.volume import Kept, add_volume

PLENTY = 1 << 40


@contextmanager
def owner_does(*lines: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run these lines of Python in `folder` until the end of the block; they print a line once they are at work."""
    script = "import os, sqlite3, sys, time\n" + "\n".join(lines)
    process = subprocess.Popen([sys.executable, "-c", script], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the owner did not begin"
        yield process
    finally:
        process.kill()
        process.communicate()


def kept_of(volume: Path, kept: Kept | None = None, allowance: Allowance | None = None) -> tuple[Path, Kept]:
    """Back the volume up and unpack it again."""
    base, number = volume.parents[1], len(list(volume.parents[1].iterdir()))
    scratch, out, kept = base / f"scratch{number}", base / f"out{number}", kept or Kept()
    scratch.mkdir()
    out.mkdir()
    with writing(base / f"b{number}", None, kept.check) as archive:
        add_volume(archive, volume, "v", scratch, kept, allowance or Allowance(PLENTY, PLENTY))
        archive.finish(Manifest("0", "0", "sqlite", "", 0, archive.members, kept.links, tuple(kept.left_out), archive.sparse))
    manifest = unpack(base / f"b{number}", None, out, lambda _: None)
    make_links(manifest, out)
    assert list(scratch.iterdir()) == []
    return out / "v", kept
