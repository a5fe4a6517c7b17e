"""Tasks of the lab's ECS that are OpenClaws, with their states in a folder that stands for the old EFS: containers, or processes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import httpx

from lab.plane.containers import ContainerTask, ContainerTasks
from lab.plane.tasks import Task, TaskOrder
from openclaw_hosted.adapters.local.beneath import chown_tree
from openclaw_hosted.adapters.local.docker.containers import PLUGIN
from openclaw_hosted.adapters.local.docker.containers import PORT as CONTAINER_PORT
from openclaw_hosted.adapters.local.docker.image import image_uid
from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.adapters.local.runtimes import Berth, ProcessRuntime
from openclaw_hosted.adapters.openclaw.config import Config, Places, merge_patch, render_config
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.support.platform import wait_until
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS

NAME: Final = InstanceId("oc-22222222")
STATE: Final = "/home/node/.openclaw"
TOKEN: Final = "OPENCLAW_GATEWAY_TOKEN"
"""The variable in which OpenClaw looks for its token; the user's secret has it."""
OF_THE_ENVIRONMENT: Final = f"${{{TOKEN}}}"
FORWARDED: Final = {"X-Forwarded-For": "198.51.100.1"}
"""OpenClaw answers nothing that comes from a trusted proxy, such as Docker's gateway here, and does not say for whom."""
PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


class Runner(Protocol):
    """One way to run OpenClaw for a task."""

    def places(self, order: TaskOrder) -> Places:
        """Where the one of this task finds things."""
        ...

    def owns(self, state: Path) -> None:
        """Have a state belong to whom it runs as."""
        ...

    def start(self, order: TaskOrder) -> Task:
        """Run it, with the configuration that is there."""
        ...

    def said(self, task: Task) -> str:
        """The end of what it printed."""
        ...


@dataclass
class OldTask:
    """One OpenClaw (`lab.plane.tasks.Task`)."""

    task: Task
    token: str = field(repr=False)

    @property
    def address(self) -> str:
        return self.task.address

    @property
    def port(self) -> int:
        return self.task.port

    def runs(self) -> bool:
        return self.task.runs()

    def end(self) -> None:
        self.task.end()

    def speak(self, text: str) -> None:
        """One turn."""
        speak(f"{self.address}:{self.port}", self.token, text)


@dataclass
class OldOpenClaws:
    """All of them (`lab.plane.tasks.Tasks`)."""

    runner: Runner
    efs: Path
    """Stands for the file system that has all states."""
    tasks: dict[str, OldTask] = field(default_factory=dict)
    """By the service's name; the newest of each."""
    started: list[Task] = field(default_factory=list)

    def start(self, order: TaskOrder) -> OldTask:
        """Run one, with its files as an old system may have written them. Returns once it answers."""
        state = self.efs / order.mounts[STATE].path.lstrip("/")
        state.mkdir(parents=True, exist_ok=True)
        configuration = state / "openclaw.json"
        configuration.write_text(json.dumps(_configuration(self.runner.places(order), state.name)))
        for path in (configuration, state):
            self.runner.owns(path)
        task = self.runner.start(order)
        self.started.append(task)
        page = f"http://{task.address}:{task.port}/{state.name}/"
        wait_until(lambda: _answers(page), PATIENCE_SECONDS, lambda: self.runner.said(task))
        self.tasks[order.service] = OldTask(task, order.environment[TOKEN])
        return self.tasks[order.service]

    def close(self) -> None:
        """End all of them, one that does not answer yet as well."""
        for task in self.started:
            if task.runs():
                task.end()


def _configuration(places: Places, user: str) -> Config:
    config = render_config(GatewaySpec(NAME, 1, volume_of(NAME), "old"), places, {})
    return merge_patch(config, {
        "secrets": None,
        "gateway": {"controlUi": {"basePath": f"/{user}"}, "auth": {"token": OF_THE_ENVIRONMENT}},
        "models": {"providers": {"echo": {"apiKey": OF_THE_ENVIRONMENT}}},
    })  # fmt: skip


@dataclass(frozen=True)
class InContainers:
    """`Runner` on a Docker engine."""

    image: str
    systems: Mapping[str, Path]

    def places(self, order: TaskOrder) -> Places:  # noqa: ARG002 - the same in each
        return Places(CONTAINER_PORT, "lan", "", "/tmp/openclaw.jsonl", PLUGIN, PRIVATE)

    def owns(self, state: Path) -> None:
        if os.getuid() == 0:
            chown_tree(state, image_uid())

    def start(self, order: TaskOrder) -> Task:
        return ContainerTasks(self.image, self.systems).start(order)

    def said(self, task: Task) -> str:
        return task.said() if isinstance(task, ContainerTask) else ""


@dataclass
class ProcessTask:
    """One process (`lab.plane.tasks.Task`)."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    address: str = "127.0.0.1"

    def runs(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)


@dataclass
class InProcesses:
    """`Runner` without Docker. `data_dir` has an installed OpenClaw."""

    data_dir: Path
    release: OpenClawRelease
    efs: Path
    ports: dict[str, int] = field(default_factory=dict)

    def places(self, order: TaskOrder) -> Places:
        port = self.ports[order.service] = free_port()
        return ProcessRuntime(self.data_dir, self.release).places(self._directory(order), port)

    def owns(self, state: Path) -> None:
        """All belongs to one user."""

    def start(self, order: TaskOrder) -> Task:
        directory, port = self._directory(order), self.ports[order.service]
        state = self.efs / order.mounts[STATE].path.lstrip("/")
        berth = Berth(directory, port, self.release.version, NAME, state, directory / "home")
        berth.home_dir.mkdir(parents=True, exist_ok=True)
        program = ProcessRuntime(self.data_dir, self.release).program(berth)
        with Path(program.log).open("ab") as log:
            process = subprocess.Popen(program.argv, env={**program.env, **order.environment}, cwd=program.cwd, stdout=log, stderr=log)
        return ProcessTask(process, port, Path(program.log))

    def said(self, task: Task) -> str:
        return task.log.read_text(errors="replace")[-3000:] if isinstance(task, ProcessTask) else ""

    def _directory(self, order: TaskOrder) -> Path:
        return self.data_dir / "old" / order.service


def speak(address: str, token: str, text: str) -> None:
    """One turn, asked of a gateway itself."""
    body = {"model": "openclaw", "messages": [{"role": "user", "content": text}]}
    headers = {"Authorization": f"Bearer {token}", **FORWARDED}
    httpx.post(f"http://{address}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE_SECONDS).raise_for_status()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, headers=FORWARDED).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
