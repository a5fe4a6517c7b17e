"""The commands that come with the platform, for machines that are processes: node, npm, npx and openclaw.

The programs named npm and npx beside the packaged Node.js do not run: installing took them out of the folder that they look for their
parts in.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from openclaw_hosted.adapters.local.files import write_atomically
from openclaw_hosted.adapters.local.install import NPM_DIR, OpenClawRelease


def ensure_commands(folder: Path, release: OpenClawRelease) -> None:
    """Have `folder` hold them, as programs of one line. Writes nothing where it does."""
    folder.mkdir(mode=0o700, exist_ok=True)
    programs = {
        "node": (release.node,),
        "npm": (release.node, NPM_DIR / "bin" / "npm-cli.js"),
        "npx": (release.node, NPM_DIR / "bin" / "npx-cli.js"),
        "openclaw": (release.node, release.entry),
    }
    for name, command in programs.items():
        text = f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n'.encode()
        path = folder / name
        if not path.is_file() or path.read_bytes() != text:
            write_atomically(path, text, mode=0o700)
