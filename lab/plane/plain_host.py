"""A plain machine as its scripts see it: a folder that stands for its root, disks, mounts, a firewall's rule, and the address of AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from lab.plane.base import MetadataSource
from lab.plane.metadata import ADDRESS, TOKEN_PATH, Asking, document
from lab.plane.plain_stubs import Answer
from lab.plane.plain_volumes import PlainVolume

ROOT_DEVICES: Final = frozenset({"/dev/xvda", "/dev/sda1"})
UNIT: Final = "openclaw-machine.service"
LINK: Final = re.compile(r"nvme-Amazon_Elastic_Block_Store_vol([0-9a-z]+)$")
OPTION: Final = re.compile(r'(?m)^([a-z0-9-]+) = "(.*)"$')
EXEC: Final = re.compile(r"(?m)^ExecStart=/bin/bash (.+)$")
BUSY: Final = 32
EMPTY: Final = 2
HTTP_ERROR: Final = 22

SecretReader = Callable[[str, str], str]
"""From instance id and name to the secret's text, as that machine's role may read it. Raises `PermissionError`, `LookupError`."""


class PlainHost:
    """One machine's. What its programs answer is in `run`."""

    def __init__(
        self,
        folder: Path,
        instance_id: str,
        disks: Callable[[], Sequence[PlainVolume]],
        metadata: MetadataSource,
        secret: SecretReader,
        *,
        tags_in_metadata: bool,
    ) -> None:
        self.folder = folder
        self.metadata_closed = False
        """Whether the firewall keeps containers from the metadata address."""
        self.enabled: set[str] = set()
        """The units that run at each boot."""
        self.in_use: Callable[[], bool] = lambda: False
        """Whether a container holds the mount."""
        self._instance_id = instance_id
        self._disks = disks
        self._metadata = metadata
        self._secret = secret
        self._tags_in_metadata = tags_in_metadata
        self._links = folder / "dev/disk/by-id"
        for each in (self._links, self.state, self.processes, folder / "etc/systemd/system", folder / "tmp"):
            each.mkdir(parents=True, exist_ok=True)
        self._programs: Mapping[str, Callable[[Sequence[str]], Answer]] = {
            "curl": self._curl, "mount": self._mount, "umount": self._umount, "mountpoint": self._mountpoint, "findmnt": self._findmnt,
            "lsblk": self._lsblk, "blkid": self._blkid, "e2fsck": lambda _: (0, ""), "mkfs.ext4": self._format,
            "iptables": self._iptables, "systemctl": self._systemctl, "mv": self._move, "fsfreeze": self._fsfreeze,
        }  # fmt: skip

    @property
    def state(self) -> Path:
        """What stands for /var/lib/openclaw."""
        return self.folder / "var/lib/openclaw"

    @property
    def processes(self) -> Path:
        """What stands for /proc."""
        return self.folder / "proc"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a script has to know of it."""
        return {"OPENCLAW_HOST": str(self.folder), "OPENCLAW_DISK_TRIES": "2", "HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp")}

    @property
    def unit(self) -> str | None:
        """The script that has to run at each boot before Docker, if one was installed."""
        written = self.folder / "etc/systemd/system" / UNIT
        found = EXEC.search(written.read_text(encoding="utf-8")) if UNIT in self.enabled and written.exists() else None
        return Path(found[1]).read_text(encoding="utf-8") if found else None

    def run(self, program: str, words: Sequence[str]) -> Answer:
        """What a program says that was called with these words."""
        try:
            return self._programs[program](words)
        except OSError as error:
            return 1, str(error)

    def plug(self, volume: PlainVolume) -> None:
        """A disk appears."""
        link = self._links / f"nvme-Amazon_Elastic_Block_Store_{volume.volume_id.replace('-', '')}"
        if not link.is_symlink():
            link.symlink_to(volume.disk)

    def unplug(self, volume: PlainVolume) -> None:
        """A disk goes away, mounted or not."""
        (self._links / f"nvme-Amazon_Elastic_Block_Store_{volume.volume_id.replace('-', '')}").unlink(missing_ok=True)
        if volume.mounted:
            self.unmount()

    def mounted(self) -> PlainVolume | None:
        """The disk that is mounted."""
        return next((volume for volume in self._disks() if volume.mounted), None)

    def unmount(self) -> None:
        """Whether or not it is in use."""
        for volume in self._disks():
            volume.mounted = False
        place = self.state / "volume"
        if place.is_symlink():
            place.unlink()
            place.mkdir()

    def _disk(self, path: str) -> PlainVolume | None:
        found = LINK.search(path)
        return next((each for each in self._disks() if found and each.volume_id == f"vol-{found[1]}"), None)

    def _mount(self, words: Sequence[str]) -> Answer:
        volume, place = self._disk(words[-2]), Path(words[-1])
        if volume is None or not volume.formatted:
            return BUSY, "wrong fs type, bad option, bad superblock"
        place.rmdir()
        place.symlink_to(volume.folder)
        volume.mounted = True
        return 0, ""

    def _umount(self, words: Sequence[str]) -> Answer:
        if self.in_use() and "-l" not in words:
            return BUSY, "target is busy."
        self.unmount()
        return 0, ""

    def _mountpoint(self, words: Sequence[str]) -> Answer:
        volume = self._disk(words[-1]) if words[0] == "-x" else self.mounted()
        if volume is None:
            return 1, ""
        return 0, "" if words[0] == "-q" else f"{volume.volume_id}\n"

    def _findmnt(self, _words: Sequence[str]) -> Answer:
        volume = self.mounted()
        return (0, f"{volume.disk}\n") if volume else (1, "")

    def _lsblk(self, words: Sequence[str]) -> Answer:
        volume = self._disk(words[-1])
        return 0, "/\n" if volume is None or volume.device in ROOT_DEVICES else "\n"

    def _blkid(self, words: Sequence[str]) -> Answer:
        volume = self._disk(words[-1])
        return 0 if volume is not None and volume.formatted else EMPTY, ""

    def _fsfreeze(self, words: Sequence[str]) -> Answer:
        volume, freezes = self.mounted(), words[0] == "--freeze"
        if volume is None or volume.frozen == freezes:
            return 1, "Invalid argument"
        volume.frozen = freezes
        return 0, ""

    def _format(self, words: Sequence[str]) -> Answer:
        volume = self._disk(words[-1])
        if volume is None:
            return 1, "no such disk"
        volume.format()
        return 0, ""

    def _iptables(self, words: Sequence[str]) -> Answer:
        if "-C" in words:
            return 0 if self.metadata_closed else 1, ""
        self.metadata_closed = self.metadata_closed or "-I" in words
        return 0, ""

    def _systemctl(self, words: Sequence[str]) -> Answer:
        if words[0] == "enable":
            self.enabled.update(words[1:])
        return 0, ""

    def _move(self, words: Sequence[str]) -> Answer:
        Path(words[0]).replace(self.folder / words[1])
        return 0, ""

    def _curl(self, words: Sequence[str]) -> Answer:
        """The metadata service, and AWS for the one call that a machine has to make. The options are in the first word, as a file."""
        options, given = OPTION.findall(words[0]), words[1:]
        if "--write-out" in given:
            headers = dict(value.split(": ", 1) for name, value in options if name == "header")
            status, body = self._aws(headers["X-Amz-Target"], dict(options)["data"].replace('\\"', '"'))
            return 0, f"{body}\n{status}"
        if {"--output", "--upload-file"} & set(given):
            return _carry(dict(options)["url"], given)
        url = urlsplit(given[-1])
        if url.hostname != ADDRESS:
            return HTTP_ERROR, "no such host"
        if url.path == TOKEN_PATH:
            return 0, self._instance_id
        if ("header", f"X-aws-ec2-metadata-token: {self._instance_id}") not in options:
            return HTTP_ERROR, "401"
        found = document(self._metadata(self._instance_id), url.path, Asking(self._instance_id, self._tags_in_metadata))
        return (HTTP_ERROR, "404") if found is None else (0, found)

    def _aws(self, target: str, body: str) -> tuple[int, str]:
        if target != "secretsmanager.GetSecretValue":
            return 400, json.dumps({"__type": "UnknownOperationException"})
        try:
            return 200, json.dumps({"SecretString": self._secret(self._instance_id, json.loads(body)["SecretId"])})
        except PermissionError:
            return 400, json.dumps({"__type": "AccessDeniedException"})
        except LookupError:
            return 400, json.dumps({"__type": "ResourceNotFoundException"})
        except OSError:
            return 500, ""


def _carry(url: str, given: Sequence[str]) -> Answer:
    """A file to or from an address, as a machine does it for itself."""
    sends = "--upload-file" in given
    place = Path(given[given.index("--upload-file" if sends else "--output") + 1])
    try:
        answer = httpx.put(url, content=place.read_bytes()) if sends else httpx.get(url)
    except httpx.HTTPError as error:
        return HTTP_ERROR, str(error)
    if not answer.is_success:
        return HTTP_ERROR, str(answer.status_code)
    if not sends:
        place.write_bytes(answer.content)
    return 0, ""
