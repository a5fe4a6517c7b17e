"""What marks a lab's things on this computer, and how the things of labs that were killed are found and removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lab.plane.docker import ToolFailed, docker, run

ROOT: Final = Path("/var/tmp/openclaw-hosted-lab")  # noqa: S108 - holds disks: too large for memory, and outlives no lab
LABEL: Final = "openclaw-hosted.lab"
CGROUPS: Final = Path("/sys/fs/cgroup")
OWNER_FILE: Final = "owner"
PID_SUFFIX: Final = ".pid"


@dataclass(frozen=True, slots=True)
class LabHome:
    """One lab's id and directory, and the names that follow from them."""

    id: str
    directory: Path
    owner: IO[str]
    """Locked for as long as the lab's process lives."""

    @classmethod
    def make(cls) -> LabHome:
        """A new one."""
        lab_id = secrets.token_hex(4)
        new = ROOT / f".{lab_id}"
        new.mkdir(parents=True)
        owner = (new / OWNER_FILE).open("w")
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(lab_id, new.rename(ROOT / lab_id), owner)

    @property
    def label(self) -> str:
        """Of every container, network and volume."""
        return f"{LABEL}={self.id}"

    @property
    def bridge(self) -> str:
        """The network, its interface, and the chain of its firewall."""
        return bridge_of(self.id)

    def cgroup(self, name: str) -> str:
        """Where the containers of a machine's own engine are counted."""
        return f"/{cgroup_of(self.id)}/{name}"

    def close(self) -> None:
        """Remove everything that bears the lab's id."""
        remove(self.id)
        self.owner.close()


def bridge_of(lab_id: str) -> str:
    """See `LabHome.bridge`; an interface's name has 15 characters at most."""
    return f"oclab-{lab_id}"


def cgroup_of(lab_id: str) -> str:
    """The control group above those of a lab's machines."""
    return f"openclaw-hosted-lab-{lab_id}"


def firewall_rules(lab_id: str) -> tuple[tuple[str, ...], ...]:
    """The jumps into the lab's own chain, and what keeps its machines from all but the lab: chain first, then the rule."""
    bridge = bridge_of(lab_id)
    return (("INPUT", "-i", bridge, "-j", bridge), ("DOCKER-USER", "-i", bridge, "!", "-o", bridge, "-j", "DROP"))


def sweep() -> list[str]:
    """Remove what labs left behind whose process is gone; returns their ids. Two may sweep at once."""
    gone = []
    for directory in ROOT.iterdir() if ROOT.is_dir() else ():
        with _claimed(directory) as abandoned:
            if abandoned:
                remove(directory.name)
                gone.append(directory.name)
    return gone


def remove(lab_id: str) -> None:
    """Remove a lab's machines, network, disks, processes and files. Does nothing twice."""
    label = f"label={LABEL}={lab_id}"
    directory = ROOT / lab_id
    for container in docker("ps", "--all", "--quiet", "--filter", label).split():
        with contextlib.suppress(ToolFailed):
            docker("rm", "--force", "--volumes", container)
    for volume in docker("volume", "ls", "--quiet", "--filter", label).split():
        docker("volume", "rm", "--force", volume)
    for pid_file in directory.glob(f"*{PID_SUFFIX}"):
        _end(int(pid_file.read_text()), directory)
    _remove_firewall(lab_id)
    for network in docker("network", "ls", "--quiet", "--filter", label).split():
        docker("network", "rm", network)
    for device, backing in loops().items():
        if backing.is_relative_to(directory):
            run("losetup", "--detach", device)
    _remove_cgroups(cgroup_of(lab_id))
    shutil.rmtree(directory, ignore_errors=True)


def loops() -> dict[str, Path]:
    """Every loop device in use, with the file behind it."""
    listed = (line.split(maxsplit=1) for line in run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines())
    return {fields[0]: Path(fields[1].removesuffix(" (deleted)")) for fields in listed if len(fields) == 2}


@contextlib.contextmanager
def _claimed(directory: Path) -> Iterator[bool]:
    """Holds a lab's lock if nobody else does; a lab that is being made may have none yet, and still has a dot before its name."""
    if directory.name.startswith("."):
        yield False
        return
    with contextlib.ExitStack() as stack:
        try:
            owner = stack.enter_context((directory / OWNER_FILE).open("a"))
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (FileNotFoundError, BlockingIOError):
            yield False
            return
        yield True


def _end(pid: int, directory: Path) -> None:
    """End a process that was started for this directory; another one that has its number now is left alone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        if str(directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def _remove_firewall(lab_id: str) -> None:
    for chain, *rule in firewall_rules(lab_id):
        with contextlib.suppress(ToolFailed):
            run("iptables", "--wait", "-D", chain, *rule)
    for action in ("-F", "-X"):
        with contextlib.suppress(ToolFailed):
            run("iptables", "--wait", action, bridge_of(lab_id))


def _remove_cgroups(name: str) -> None:
    for top in (*CGROUPS.glob(name), *CGROUPS.glob(f"*/{name}")):
        for directory, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()
