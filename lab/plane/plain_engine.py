"""What `docker` does on a plain machine: it knows one container, a gateway's, and the image's program that configures it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lab.plane.documents import merged, pruned
from lab.plane.loop import LoopThread
from lab.plane.plain_gateway import Berth, Fault, PlainGateway
from lab.plane.plain_stubs import Answer
from lab.plane.plain_volumes import PlainVolume, replace_json

FLAGS: Final = frozenset({"-d", "-i", "--rm", "--init", "--read-only"})
"""The options of `docker run` without a value."""
ID: Final = "0123456789ab"
NEVER: Final = "0001-01-01T00:00:00Z"
NO_SUCH: Final = (1, "Error: No such container")
FAILED: Final = 125
BAD_INPUT: Final = 65
MOUNTS: Final = ("/home/node", "/home/node/.openclaw", "/run/openclaw-machine")
EACH_MOUNT: Final = "{{range .Mounts}}{{.Destination}} {{end}}"
PLACE: Final = re.compile(r"\{\{\.([A-Za-z.]+)\}\}")
REFUSED_NOTE: Final = "tmp/openclaw-refused"
LOG: Final = "tmp/openclaw.jsonl"
LIVE_SECRETS: Final = "run/openclaw/secrets.json"


@dataclass(slots=True)
class Setting:
    """What an engine finds on its machine."""

    address: str
    faults: set[Fault]
    secrets: Path
    """The file that is bound into the container."""
    processes: Path
    """What stands for /proc."""
    loop: LoopThread
    start_seconds: Callable[[], float]
    pull: Callable[[str], bool]
    """Have the image here; False where it can't be had. May take its time."""
    mounted: Callable[[], PlainVolume | None]


@dataclass(slots=True)
class Engine:
    """One machine's."""

    setting: Setting
    images: set[str] = field(default_factory=set)
    gateway: PlainGateway | None = None

    def run(self, words: Sequence[str]) -> Answer:
        """One command: the words after `docker`."""
        commands: Mapping[str, Callable[[Sequence[str]], Answer]] = {
            "info": lambda _: (0, ""), "image": self._image, "pull": lambda rest: self._pull(rest[-1]), "ps": self._list, "run": self._run,
            "inspect": self._inspect, "stop": self._stop, "rm": self._remove, "start": self._start, "exec": self._take, "logs": self._logs,
        }  # fmt: skip
        command = commands.get(words[0])
        return command(words[1:]) if command is not None else (FAILED, f"the plain lab's docker has no {words[0]}")

    def configure(self, document: str) -> Answer:
        """What the image's configure.mjs does with its standard input."""
        volume = self.setting.mounted()
        if volume is None:
            return FAILED, "bind source path does not exist"
        config, _, answer = document.partition("\n")
        try:
            if answer.strip():
                texts = {name: value for name, value in json.loads(json.loads(answer)["SecretString"]).items() if isinstance(value, str)}
                replace_json(self.setting.secrets, texts)
            if config.strip():
                _configure(volume, json.loads(base64.b64decode(config)))
        except (ValueError, KeyError, AttributeError, TypeError):
            return BAD_INPUT, "not what it should be"
        return 0, ""

    def is_up(self) -> bool:
        """Whether the container runs."""
        return self.gateway is not None and self.gateway.up

    def lose_power(self) -> None:
        """End what runs; the container stays."""
        if self.gateway is not None:
            self.setting.loop.call(self.gateway.stop())

    def boot(self) -> None:
        """Start the container, as Docker does by its policy once it runs itself."""
        self._start(())

    def signal(self, words: Sequence[str]) -> Answer:
        """`kill -SIGNAL PID` of the container's first process."""
        gateway = self.gateway
        if gateway is None or not gateway.up or str(gateway.pid) != words[-1]:
            return 1, "No such process"
        if words[0] != "-0":
            self.setting.loop.call(gateway.restart())
        return 0, ""

    def _image(self, words: Sequence[str]) -> Answer:
        if words[-1] not in self.images:
            return 1, "Error: No such image"
        return 0, "gateway run\n" if "--format" in words else "[]\n"

    def _pull(self, image: str) -> Answer:
        if not self.setting.pull(image):
            return 1, "manifest unknown"
        self.images.add(image)
        return 0, f"{image}\n"

    def _list(self, _words: Sequence[str]) -> Answer:
        return 0, "" if self.gateway is None else f"{ID}\n"

    def _run(self, words: Sequence[str]) -> Answer:
        options, (image, *_) = _parsed(words)
        volume, setting = self.setting.mounted(), self.setting
        if self.gateway is not None:
            return FAILED, "Conflict. The container name is already in use"
        if volume is None or image not in self.images:
            return FAILED, "bind source path does not exist" if volume is None else f"Unable to find image '{image}' locally"
        labels = dict(label.split("=", 1) for label in options["--label"])
        reserved = "OPENCLAW_HOSTED_RESERVED=1" in options["--env"]
        berth = Berth(labels["openclaw-hosted.instance"], volume, image, reserved=reserved)
        self.gateway = PlainGateway(berth, setting.address, self._secrets, setting.faults, setting.start_seconds)
        setting.loop.call(self.gateway.start())
        return 0, f"{ID}\n"

    def _secrets(self) -> dict[str, str]:
        try:
            return dict(json.loads(self.setting.secrets.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}

    def _inspect(self, words: Sequence[str]) -> Answer:
        if self.gateway is None:
            return NO_SUCH
        template, gateway = words[words.index("--format") + 1], self.gateway
        if ".State.Pid" in template:
            self._show(gateway)
        facts = _facts(gateway)
        text = template.replace(EACH_MOUNT, "".join(f"{mount} " for mount in MOUNTS))
        return 0, f"{PLACE.sub(lambda place: facts[place[1]], text)}\n"

    def _show(self, gateway: PlainGateway) -> None:
        """Have what is in the container stand below the place of its process: whoever asks for that goes on to look there."""
        root = self.setting.processes / str(gateway.pid) / "root"
        for name in (LOG, LIVE_SECRETS):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / LOG).write_text("".join(f"{line}\n" for line in gateway.lines), encoding="utf-8")
        replace_json(root / LIVE_SECRETS, gateway.live)
        if gateway.refused:
            (root / REFUSED_NOTE).touch()

    def _stop(self, _words: Sequence[str]) -> Answer:
        if self.gateway is None:
            return NO_SUCH
        self.lose_power()
        return 0, ""

    def _remove(self, _words: Sequence[str]) -> Answer:
        self.lose_power()
        self.gateway = None
        return 0, ""

    def _start(self, _words: Sequence[str]) -> Answer:
        if self.gateway is None:
            return NO_SUCH
        if not self.gateway.volume.mounted:
            return 1, "bind source path does not exist"
        if not self.gateway.up:
            self.setting.loop.call(self.gateway.start())
        return 0, ""

    def _take(self, _words: Sequence[str]) -> Answer:
        """Have the container read the machine's copy of its secrets."""
        if self.gateway is None or not self.gateway.up:
            return NO_SUCH
        self.gateway.live = self._secrets()
        return 0, ""

    def _logs(self, words: Sequence[str]) -> Answer:
        if self.gateway is None:
            return NO_SUCH
        since = float(words[words.index("--since") + 1]) if "--since" in words else 0.0
        said = [line for at, line in self.gateway.said if at >= since]
        return 0, "".join(f"{line}\n" for line in said[-int(words[words.index("--tail") + 1]) :])


def _facts(gateway: PlainGateway) -> Mapping[str, str]:
    status = "exited" if not gateway.up else "running" if gateway.running or gateway.refused else "restarting"
    began = datetime.fromtimestamp(gateway.started_at, UTC).isoformat() if gateway.started_at else NEVER
    return {
        "Id": ID, "State.Status": status, "State.Running": str(gateway.up).lower(), "State.Pid": str(gateway.pid),
        "State.ExitCode": str(gateway.exit_code or 0), "RestartCount": str(gateway.restarts), "State.StartedAt": began,
        "State.OOMKilled": str(gateway.oom).lower(), "Config.Image": gateway.berth.image,
    }  # fmt: skip


def _parsed(words: Sequence[str]) -> tuple[Mapping[str, list[str]], Sequence[str]]:
    """The options of `docker run`, and the image with what it runs."""
    options: dict[str, list[str]] = {"--label": [], "--env": []}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        if name not in FLAGS:
            options.setdefault(name, []).append(value if equals else rest.pop(0))
    return options, rest


def _configure(volume: PlainVolume, order: Mapping[str, Any]) -> None:
    patch = order["patch"]
    volume.config = merged(pruned(dict(volume.config), order.get("prune", []), patch), patch)
