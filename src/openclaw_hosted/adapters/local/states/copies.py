"""`StateCopies` between folders of this computer: where an older system's file systems are mounted, and where volumes are.

What is brought stands in `VOLUME/incoming` until it is complete, out of the gateway's reach, and takes the place of `VOLUME/state` in one
rename that exchanges the two. What was there before is kept as `VOLUME/incoming`, and removed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.beneath import chown_tree, remove_tree
from openclaw_hosted.adapters.local.files import write_atomically
from openclaw_hosted.adapters.local.gateway_home import read_config, write_config
from openclaw_hosted.adapters.local.states.copying import copy_state, look, verify
from openclaw_hosted.adapters.local.states.kept import kept_stores
from openclaw_hosted.adapters.local.states.mounted import apart, give_back, old_folder
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.domain.errors import Conflict, Unavailable
from openclaw_hosted.domain.migration import OldSettings, OldState
from openclaw_hosted.domain.naming import VolumeId
from openclaw_hosted.domain.old_keys import with_kept_keys
from openclaw_hosted.ports.legacy import Arrival, StateSize

INCOMING: Final = "incoming"
MARK: Final = "migrated"
"""Beside the state: which attempt it was brought by."""
EXCHANGING: Final = "migrating"
"""Which folder is to become the state, by its inode: where it is the state already, an earlier run had put it there."""
AT_FDCWD: Final = -100
RENAME_EXCHANGE: Final = 2


class FolderStateCopies:
    """`mounts` says where each file system of the older system is mounted, by its id."""

    def __init__(self, volumes: LocalVolumes, mounts: Mapping[str, Path]) -> None:
        self._volumes = volumes
        self._mounts = mounts

    async def check(self, state: OldState) -> StateSize:
        return await apart(self._check, state)

    async def with_keys(self, state: OldState, found: OldSettings) -> OldSettings:
        return with_kept_keys(found, await apart(kept_stores, old_folder(self._mounts, state)))

    async def bring(self, state: OldState, arrival: Arrival) -> StateSize:
        return await apart(self._bring, state, arrival)

    async def settle(self, state: OldState, arrival: Arrival) -> None:
        await apart(self._settle, state, arrival)

    async def install(self, arrival: Arrival) -> None:
        await apart(self._install, arrival)

    async def carry_back(self, arrival: Arrival, state: OldState) -> None:
        await apart(self._carry_back, arrival, state)

    def _check(self, state: OldState) -> StateSize:
        seen = look(old_folder(self._mounts, state), digests=False)
        return StateSize(len(seen.files) + len(seen.databases), seen.size_bytes)

    def _bring(self, state: OldState, arrival: Arrival) -> StateSize:
        return copy_state(old_folder(self._mounts, state), self._volume(arrival.volume_id) / INCOMING, with_databases=False, removes=True)

    def _settle(self, state: OldState, arrival: Arrival) -> None:
        old, incoming = old_folder(self._mounts, state), self._volume(arrival.volume_id) / INCOMING
        if _read(self._volume(arrival.volume_id) / MARK) == arrival.mark:
            return
        copy_state(old, incoming, with_databases=True, removes=True)
        verify(old, incoming)

    def _install(self, arrival: Arrival) -> None:
        volume = self._volume(arrival.volume_id)
        state, incoming = self._volumes.state_dir(arrival.volume_id), volume / INCOMING
        if _read(volume / MARK) != arrival.mark:
            if not incoming.is_dir():
                raise Conflict("Nothing was brought to this volume.")
            if _read(volume / EXCHANGING) != f"{arrival.mark} {state.lstat().st_ino}":
                write_config(incoming, read_config(state))
                chown_tree(incoming, state.lstat().st_uid)
                write_atomically(volume / EXCHANGING, f"{arrival.mark} {incoming.lstat().st_ino}".encode())
                _exchange(state, incoming)
            write_atomically(volume / MARK, arrival.mark.encode())
        (volume / EXCHANGING).unlink(missing_ok=True)
        remove_tree(incoming)

    def _carry_back(self, arrival: Arrival, state: OldState) -> None:
        give_back(self._volumes.state_dir(arrival.volume_id), old_folder(self._mounts, state))

    def _volume(self, volume_id: VolumeId) -> Path:
        volume = self._volumes.state_dir(volume_id).parent
        if not volume.is_dir():
            raise Unavailable(f"The volume {volume_id} is not on this computer.")
        return volume


def _exchange(one: Path, other: Path) -> None:
    """Each takes the other's name, in one step."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise Unavailable(f"The state can't be put in its place: {os.strerror(code)}.")


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
