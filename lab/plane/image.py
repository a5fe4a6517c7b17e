"""The image of lab machines: Debian with a Docker engine of its own, in the place of the machine image of Amazon Linux with Docker."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from lab.plane.docker import docker, exists, run

NAME: Final = "openclaw-hosted/lab-machine"
SUITE: Final = "bookworm"
PACKAGES: Final = ("docker.io", "iptables", "ca-certificates", "procps", "curl", "util-linux", "e2fsprogs", "kmod")
SHIM: Final = "/usr/local/bin/systemctl"
FURNISHING: Final = f"chmod 755 $1{SHIM} && mkdir -p $1/etc/openclaw-hosted $1/etc/docker"
SYSTEMCTL: Final = Path(__file__).parent / "machine" / "systemctl"
BUILD_SECONDS: Final = 600.0


def tag() -> str:
    """The image's name; another one for another content."""
    content = hashlib.sha256(" ".join((SUITE, *PACKAGES, FURNISHING)).encode() + SYSTEMCTL.read_bytes())
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
            f"--customize-hook=upload {SYSTEMCTL} {SHIM}", f"--customize-hook={FURNISHING}",
            SUITE, str(root), seconds=BUILD_SECONDS,
        )  # fmt: skip
        docker("import", "--change", 'ENTRYPOINT ["sleep", "infinity"]', str(root), name, seconds=BUILD_SECONDS)
    return name
