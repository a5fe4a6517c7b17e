"""An older system's folders, where this computer has them mounted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import ParamSpec, TypeVar

from openclaw_hosted.adapters.local.beneath import Walk
from openclaw_hosted.adapters.local.states.copying import copy_state, verify
from openclaw_hosted.adapters.local.states.kept import MOST_ENTRIES
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.domain.migration import OldState

Given = ParamSpec("Given")
Result = TypeVar("Result")


def old_folder(mounts: Mapping[str, Path], state: OldState) -> Path:
    """Where a state is, with each file system mounted as `mounts` says, by its id. Raises `NotFound`."""
    system, _, folder = state.place.partition(":")
    if system not in mounts:
        raise NotFound(f"The file system {system} is not mounted here: mount it, and say where under `state.mounts` in the mapping.")
    parts = PurePosixPath(folder).parts[1:]
    path = mounts[system].joinpath(*parts)
    if ".." in parts or not path.is_dir() or path.resolve() != path.absolute():
        raise NotFound(f"There is no folder {folder} on {system}, which is mounted at {mounts[system]}.")
    return path


def give_back(source: Path, old: Path) -> None:
    """Have the old folder hold what `source` does, as its own user's, and verify it. What is there besides stays, keys in databases too."""
    owner = old.lstat().st_uid
    copy_state(source, old, with_databases=True, removes=False, keeps_keys=True)
    if os.geteuid() == 0:
        for entry in Walk(old, MOST_ENTRIES):
            if entry.status.st_uid != owner:
                os.chown(entry.name, owner, owner, dir_fd=entry.folder, follow_symlinks=False)
    verify(source, old)


async def apart(work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """In a thread. What the disk refuses is `Unavailable`."""
    try:
        return await asyncio.to_thread(work, *given, **named)
    except OSError as problem:
        raise Unavailable(f"The state can't be copied: {problem.strerror or type(problem).__name__}.") from problem
