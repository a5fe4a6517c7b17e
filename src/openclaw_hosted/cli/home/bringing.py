"""`openclaw-hosted migrate import`: an OpenClaw that ran at home becomes an instance, its keys in the vault."""

from __future__ import annotations

import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from openclaw_hosted.cli.home.keys import CONFIGURATION, HomeKeys, find_keys
from openclaw_hosted.cli.home.packing import KeysLeft, Packed, pack
from openclaw_hosted.cli.output import CommandError, Exit, say
from openclaw_hosted.untar import untar

if TYPE_CHECKING:
    from openclaw_hosted.cli.client import Api

DEEPEST: Final = 4
"""How far down in an archive its folder may be."""


@contextmanager
def opened_home(source: Path) -> Iterator[Path]:
    """The state directory that `source` is or holds: a folder, or an archive, which is unpacked for the length of the block."""
    if source.is_dir():
        yield _root_of(source)
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(source) as archive:
                untar(archive, Path(folder))
        except (tarfile.TarError, EOFError) as problem:
            raise CommandError(f"{source} can't be unpacked: {problem}", Exit.USAGE) from problem
        yield _root_of(Path(folder))


def packed_home(folder: Path, target: Path, *, keep_mentions: bool) -> tuple[HomeKeys, Packed]:
    """Find its keys, and pack it without them into `target`."""
    try:
        keys = find_keys(folder)
        with target.open("wb") as opened:
            return keys, pack(folder, opened, keys.secrets, keep_mentions=keep_mentions)
    except KeysLeft as problem:
        raise CommandError(
            f"{problem} holds one of your keys outside of the place for keys, perhaps because it was said in a conversation. Make a new "
            "key at its provider, set it at home, and import again. Or give --keep-mentions to bring the conversation with the key in it.",
            Exit.CONFLICT,
        ) from None
    except sqlite3.Error as problem:
        raise CommandError(f"A database in {folder} can't be read: {problem}. Is it whole?") from problem
    except OSError as problem:
        raise CommandError(f"{folder} can't be packed: {problem.strerror or problem}") from problem


def request_of(name: str, keys: HomeKeys, point: str) -> dict[str, Any]:
    """What makes the instance: the found settings and credentials, and the brought state."""
    found = keys.settings.settings
    return {
        "name": name, "restore_point": point, "credentials": dict(keys.settings.credentials),
        "settings": {"provider": found.provider, "model": found.model, "base_url": None, "channels": sorted(found.channels)},
    }  # fmt: skip


def send(api: Api, archive: Path, name: str, keys: HomeKeys) -> Any:
    """Have the platform take the archive in, and make an instance of it."""
    brought = api.send_file("/archives", archive)
    return api.post("/instances", request_of(name, keys, brought["id"]))


def tell(keys: HomeKeys, packed: Packed) -> None:
    """What was found, what comes along and what stays. Names no value."""
    settings = keys.settings.settings
    channels = f", and answers on {', '.join(sorted(settings.channels))}" if settings.channels else ""
    say(f"{packed.files} files come along. The new instance uses {settings.provider}{channels}.")
    for credential in sorted(keys.settings.credentials):
        say(f"Found, and going to the vault: {credential}")
    for name in keys.settings.ignored:
        say(f"{name} has no place here, and stays at home.")
    for line in (*keys.notes, *(f"Stays at home: {left}" for left in packed.left)):
        say(line)


def _root_of(folder: Path) -> Path:
    for depth in range(DEEPEST + 1):
        found = sorted(folder.glob("/".join(["*"] * depth + [CONFIGURATION])))
        if len(found) > 1:
            raise CommandError(f"{folder} holds more than one OpenClaw. Give one folder ~/.openclaw.", Exit.USAGE)
        if found:
            return found[0].parent
    raise CommandError(f"{folder} is no state directory of OpenClaw: there is no {CONFIGURATION}. Give ~/.openclaw.", Exit.USAGE)
