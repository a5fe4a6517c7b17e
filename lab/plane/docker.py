"""The host's Docker engine and other tools, by their command lines."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping


class ToolFailed(Exception):
    """A command did not do what it was asked."""

    def __init__(self, words: tuple[str, ...], exit_code: int, said: str) -> None:
        super().__init__(f"{' '.join(words[:3])} ... ended with {exit_code}: {said.strip()[-600:]}")
        self.exit_code = exit_code


def run(*words: str, seconds: float = 120.0, fed: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises `ToolFailed`."""
    done = subprocess.run(
        words, input=fed, capture_output=True, timeout=seconds, check=False, env=env, stdin=None if fed else subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise ToolFailed(words, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace").strip()


def docker(*words: str, seconds: float = 120.0, fed: bytes | None = None) -> str:
    """What `docker` prints. Raises `ToolFailed`."""
    return run("docker", *words, seconds=seconds, fed=fed)


def exists(kind: str, name: str) -> bool:
    """Whether the engine has an `image`, `container`, `network` or `volume` of this name."""
    try:
        docker(kind, "inspect", name)
    except ToolFailed:
        return False
    return True
