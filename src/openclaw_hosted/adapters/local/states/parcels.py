"""`StateCopies` to machines that are elsewhere: in parcels, which a `Carrier` takes there.

A copy of the state is made on this computer first, without keys, with each database as one whole file, and compared with the old one. A
parcel is a tar of what of it the machine does not have yet (`content/`), with the names of all that has to be there afterwards (`keep`) and
the SHA-256 of each file (`sums`). The machine removes the rest and compares, so whatever was there before, either both sides hold the same
in the end or the delivery failed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.files import write_atomically
from openclaw_hosted.adapters.local.states.copying import BLOCK_BYTES, copy_state, look, verify
from openclaw_hosted.adapters.local.states.kept import kept_stores
from openclaw_hosted.adapters.local.states.mounted import apart, give_back, old_folder
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.domain.migration import OldSettings, OldState
from openclaw_hosted.domain.old_keys import with_kept_keys
from openclaw_hosted.ports.legacy import Arrival, Carrier, StateSize
from openclaw_hosted.untar import untar

MOST_BYTES: Final = 4 << 30
"""Of a state. A parcel has to fit into one upload, and twice into the machine's volume."""
ENOUGH: Final = f"It is larger than {MOST_BYTES >> 30} GiB, which is the most that can be brought to a machine on AWS."
CONTENT: Final = "content"
NAMES: Final = ("utf-8", "surrogateescape")
"""How file names become bytes, as everywhere in Python."""
OWNER: Final = 1000
"""Who a gateway runs as."""


class ParcelStateCopies:
    """`work` is a folder of this computer for copies on their way. `mounts` says where each file system of the older system is mounted."""

    def __init__(self, work: Path, mounts: Mapping[str, Path], carrier: Carrier) -> None:
        self._work = work
        self._mounts = mounts
        self._carrier = carrier

    async def check(self, state: OldState) -> StateSize:
        seen = await apart(look, old_folder(self._mounts, state), digests=False)
        if seen.size_bytes > MOST_BYTES:
            raise Conflict(ENOUGH)
        return StateSize(len(seen.files) + len(seen.databases), seen.size_bytes)

    async def with_keys(self, state: OldState, found: OldSettings) -> OldSettings:
        return with_kept_keys(found, await apart(kept_stores, old_folder(self._mounts, state)))

    async def bring(self, state: OldState, arrival: Arrival) -> StateSize:
        copy = self._folder(arrival) / "state"
        copied = await apart(copy_state, old_folder(self._mounts, state), copy, with_databases=False, removes=True)
        await self._deliver(arrival, copy, last=False)
        return copied

    async def settle(self, state: OldState, arrival: Arrival) -> None:
        old, copy = old_folder(self._mounts, state), self._folder(arrival) / "state"
        await apart(copy_state, old, copy, with_databases=True, removes=True)
        await apart(verify, old, copy)
        await self._deliver(arrival, copy, last=True)

    async def install(self, arrival: Arrival) -> None:
        await self._carrier.install(arrival)
        shutil.rmtree(self._work / arrival.instance_id, ignore_errors=True)

    async def carry_back(self, arrival: Arrival, state: OldState) -> None:
        folder = self._folder(arrival)
        parcel, copy = folder / "back.tar", folder / "back"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(mode=0o700)
        await self._carrier.fetch(arrival, parcel)
        await apart(_unpack, parcel, copy)
        await apart(give_back, copy, old_folder(self._mounts, state))
        shutil.rmtree(folder, ignore_errors=True)

    async def _deliver(self, arrival: Arrival, copy: Path, *, last: bool) -> None:
        """What differs from the parcels before; all of it, where the machine does not hold what they brought."""
        folder = copy.parent
        parcel, note = folder / "parcel.tar", folder / "sent.json"
        listing, sent = await apart(_list, copy), _sent(note, arrival.mark)
        try:
            await apart(_pack, copy, listing, sent, parcel)
            await self._carrier.deliver(arrival, parcel, whole=not sent, last=last)
        except Conflict:
            if not sent:
                raise
            await apart(_pack, copy, listing, {}, parcel)
            await self._carrier.deliver(arrival, parcel, whole=True, last=last)
        finally:
            parcel.unlink(missing_ok=True)
        write_atomically(note, json.dumps({"mark": arrival.mark, "files": listing.files}).encode())

    def _folder(self, arrival: Arrival) -> Path:
        folder = self._work / arrival.instance_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


@dataclass
class _Listing:
    """What a copy holds, by paths below it: files with their digests, links, folders."""

    files: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def _list(copy: Path) -> _Listing:
    listing = _Listing()
    for place, folders, files in os.walk(copy):
        for name in (*folders, *files):
            path = Path(place, name)
            relative = str(path.relative_to(copy))
            if path.is_symlink():
                listing.links.append(relative)
            elif name in folders:
                listing.folders.append(relative)
            else:
                listing.files[relative] = _digest(path)
    return listing


def _pack(copy: Path, listing: _Listing, sent: Mapping[str, str], parcel: Path) -> None:
    with tarfile.open(parcel, "w", format=tarfile.GNU_FORMAT) as archive:
        _add_text(archive, "keep", b"".join(_kept(listing)))
        _add_text(archive, "sums", "".join(_sum_line(name, digest) for name, digest in sorted(listing.files.items())).encode(*NAMES))
        changed = [name for name, digest in listing.files.items() if sent.get(name) != digest]
        for relative in (*sorted(listing.folders), *listing.links, *changed):
            archive.add(copy / relative, f"{CONTENT}/{relative}", recursive=False, filter=_as_gateways)
    if parcel.stat().st_size > MOST_BYTES:
        raise Conflict(ENOUGH)


def _kept(listing: _Listing) -> list[bytes]:
    """In the order of their bytes, as the machine compares them."""
    return sorted(f"./{name}".encode(*NAMES) + b"\0" for name in (*listing.files, *listing.links, *listing.folders))


def _sum_line(name: str, digest: str) -> str:
    """As sha256sum writes it: a name with a line break or a backslash is told by a backslash in front."""
    told = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if told == name else chr(92)}{digest}  ./{told}\n"


def _add_text(archive: tarfile.TarFile, name: str, text: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    archive.addfile(member, io.BytesIO(text))


def _as_gateways(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = OWNER
    member.uname = member.gname = ""
    return member


def _unpack(parcel: Path, folder: Path) -> None:
    """What a machine sent. A tenant wrote all of it."""
    try:
        with tarfile.open(parcel, "r:") as archive:
            untar(archive, folder)
    except tarfile.TarError as problem:
        raise Conflict(f"The state of the new gateway can't be unpacked: {problem}") from problem
    finally:
        parcel.unlink(missing_ok=True)


def _sent(note: Path, mark: str) -> Mapping[str, str]:
    """The files that the parcels before brought, as this computer noted it."""
    try:
        noted = json.loads(note.read_bytes())
    except (OSError, ValueError):
        return {}
    return dict(noted["files"]) if noted.get("mark") == mark else {}


def _digest(path: Path) -> str:
    summed = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            summed.update(block)
    return summed.hexdigest()
