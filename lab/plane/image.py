"""The image of lab machines: Debian with systemd and a Docker engine of its own, in the place of the machine image of Amazon Linux.

As in Amazon Linux, Docker is off until somebody enables it, and cloud-init runs user data. What needs hardware, a console or a bus is
masked.
"""

from __future__ import annotations

import hashlib
import shlex
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
    "cloud-init",
)
DISABLED: Final = ("docker.service", "docker.socket", "containerd.service")
MASKED: Final = (
    "systemd-logind.service", "systemd-udevd.service", "getty.target", "console-getty.service", "systemd-remount-fs.service",
    "systemd-networkd.service", "systemd-timesyncd.service", "systemd-resolved.service", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
    "cloud-init-local.service", "cloud-config.service", "cloud-init-hotplugd.socket",
)  # fmt: skip
FURNISHED: Final = "/run/lab-furnished"
"""There once the machine has its metadata address and its disks; cloud-init waits for it, as it never would on hardware."""
HYPERVISOR: Final = "/etc/openclaw-hosted/hypervisor-uuid"
"""In the place of /sys/hypervisor/uuid, which no container has: by it cloud-init knows that it is on EC2, and asks for a token."""
CLOUD_CONFIG: Final = """datasource_list: [ Ec2 ]
datasource: {Ec2: {metadata_urls: ["http://169.254.169.254"]}}
network: {config: disabled}
cloud_init_modules: []
cloud_config_modules: []
cloud_final_modules: [scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, final-message]
system_info: {distro: debian, paths: {cloud_dir: /var/lib/cloud, templates_dir: /etc/cloud/templates}}
"""
"""Of what a distribution's configuration has cloud-init do, only its scripts: users, hosts and packages are the image's own here."""
NAMES: Final = "/etc/openclaw-hosted/nsswitch.conf"
CLOUD_INIT: Final = f"""[Service]
ExecStartPre=/bin/sh -c 'until test -e {FURNISHED}; do sleep 0.05; done'
BindReadOnlyPaths={NAMES}:/etc/nsswitch.conf
"""
"""It first asks for names that nobody has. A VPC answers at once; where no name server answers, that takes half a minute."""
FURNISHING: Final = (
    "mkdir -p $1/etc/openclaw-hosted $1/etc/docker",
    f"chroot $1 systemctl -q disable {' '.join(DISABLED)}",
    f"chroot $1 systemctl -q mask {' '.join(MASKED)}",
    "chroot $1 systemctl -q set-default multi-user.target",
    f"printf %s {shlex.quote(CLOUD_CONFIG)} >$1/etc/cloud/cloud.cfg",
    "mkdir -p $1/etc/systemd/system/cloud-init.service.d",
    f"printf %s {shlex.quote(CLOUD_INIT)} >$1/etc/systemd/system/cloud-init.service.d/furnished.conf",
    f"echo hosts: files >$1{NAMES}",
    f"echo ec2e1916-9099-7caf-fd21-012345abcdef >$1{HYPERVISOR}",
    f"sed -i s#/sys/hypervisor/uuid#{HYPERVISOR}# $1/usr/lib/python3/dist-packages/cloudinit/sources/DataSourceEc2.py",
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
