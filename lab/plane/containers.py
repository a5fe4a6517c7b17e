"""Tasks of ECS as containers of this computer's Docker engine, as an agent of ECS would run them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.plane.docker import ToolFailed, docker, run
from lab.plane.tasks import TaskOrder

STOP_SECONDS: Final = 30
"""What ECS gives a container to end by itself, unless its definition says otherwise."""
LABEL: Final = "openclaw-hosted.lab-task"
ADDRESS: Final = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"


@dataclass(frozen=True, slots=True)
class ContainerTask:
    """One container (`tasks.Task`)."""

    ref: str
    address: str
    port: int

    def runs(self) -> bool:
        """Whether the engine says so."""
        try:
            return docker("inspect", "--format", "{{.State.Running}}", self.ref) == "true"
        except ToolFailed:
            return False

    def end(self) -> None:
        """Stop and remove it."""
        try:
            docker("stop", "--time", str(STOP_SECONDS), self.ref)
            docker("rm", "--volumes", self.ref)
        except ToolFailed:
            if self.runs():
                raise

    def said(self) -> str:
        """The end of its log."""
        done = run("/bin/sh", "-c", 'docker logs --tail 30 "$1" 2>&1', "sh", self.ref)
        return done[-3000:]


class ContainerTasks:
    """`tasks.Tasks` with one image, which stands for that of every task definition: a lab can pull none. `systems` says where the folder
    is that stands for each file system, by its id."""

    def __init__(self, image: str, systems: Mapping[str, Path]) -> None:
        self._image = image
        self._systems = systems

    def start(self, order: TaskOrder) -> ContainerTask:
        """Run it. Its variables may be secret, and are handed on by name."""
        sources = {path: self._systems[each.file_system] / each.path.lstrip("/") for path, each in order.mounts.items()}
        mounts = (f"type=bind,src={source},dst={path}" for path, source in sources.items())
        ref = run(
            "docker", "run", "--detach", "--label", f"{LABEL}={order.service}", "--memory", f"{order.memory_mib}m",
            *(part for mount in mounts for part in ("--mount", mount)), *(part for name in order.environment for part in ("--env", name)),
            self._image, env={**os.environ, **order.environment},
        )  # fmt: skip
        return ContainerTask(ref, docker("inspect", "--format", ADDRESS, ref), order.port)
