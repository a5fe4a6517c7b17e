"""The image of lab machines: Debian with systemd and a Docker engine of its own, in the place of the machine image of Amazon Linux.

As in Amazon Linux, Docker is off until somebody enables it. What needs hardware, a console or a bus is masked.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from lab.plane.docker import docker, exists, run

NAME: Final = "openclaw-hosted/lab-machine"
SUITE: Final = "bookworm"
PACKAGES: Final = (
    "systemd",
    "systemd-sysv",
    "docker.io",
    "iptables",
    "ca-certificates",
    "procps",
    "curl",
    "util-linux",
    "e2fsprogs",
    "kmod",
)
DISABLED: Final = ("docker.service", "docker.socket", "containerd.service")
MASKED: Final = (
    "systemd-logind.service", "systemd-udevd.service", "getty.target", "console-getty.service", "systemd-remount-fs.service",
    "systemd-networkd.service", "systemd-timesyncd.service", "systemd-resolved.service", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
)  # fmt: skip
FURNISHING: Final = (
    "mkdir -p $1/etc/openclaw-hosted $1/etc/docker",
    f"chroot $1 systemctl -q disable {' '.join(DISABLED)}",
    f"chroot $1 systemctl -q mask {' '.join(MASKED)}",
    "chroot $1 systemctl -q set-default multi-user.target",
)
BUILD_SECONDS: Final = 600.0


def tag() -> str:
    """The image's name; another one for another content."""
    content = hashlib.sha256(" ".join((SUITE, *PACKAGES, *FURNISHING)).encode())
    return f"{NAME}:{content.hexdigest()[:12]}"


def ensure() -> str:
    """Build the image unless it is there (two minutes, as root, needs Debian's packages); returns its tag. Raises `ToolFailed`."""
    name = tag()
    if exists("image", name):
        return name
    if shutil.which("mmdebstrap") is None:
        raise FileNotFoundError("mmdebstrap is missing: apt-get install mmdebstrap")
    with tempfile.TemporaryDirectory(prefix="openclaw-hosted-lab-") as directory:
        root = Path(directory) / "root.tar"
        run(
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}",
            *(f"--customize-hook={line}" for line in FURNISHING), SUITE, str(root), seconds=BUILD_SECONDS,
        )  # fmt: skip
        docker("import", "--change", 'ENTRYPOINT ["/sbin/init"]', str(root), name, seconds=BUILD_SECONDS)
    return name
