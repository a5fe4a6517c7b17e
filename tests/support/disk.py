"""A disk that is soon full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def fill_up(ballast: Path) -> None:
    """Write a file until nothing more fits."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 100_000)
    assert shutil.disk_usage(ballast.parent).free < 100_000


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own, with what stood in the folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk to fill")
    kept = folder.with_name("kept")
    folder.mkdir(exist_ok=True)
    folder.rename(kept)
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
