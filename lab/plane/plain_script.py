"""What the platform's machine script does, without a shell: its last line, `openclaw_machine VERB key=value ...`, interpreted."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

from lab.plane.base import CommandResult
from lab.plane.documents import merged, pruned
from lab.plane.plain_gateway import Berth, PlainGateway
from lab.plane.plain_volumes import PlainVolume

COMMAND: Final = "openclaw_machine"
NO_SUCH_COMMAND: Final = 127


class Exit(IntEnum):
    """Why the script ended."""

    DONE = 0
    USAGE = 2
    OLDER_GENERATION = 3
    FOREIGN_VOLUME = 4
    NO_VOLUME = 5
    SECRET_DENIED = 6
    NO_IMAGE = 7
    NO_GATEWAY = 8
    OTHER = 9


@dataclass
class Ended(Exception):
    """The script ends here."""

    code: Exit
    message: str


class Host(Protocol):
    """The machine that a script runs on."""

    generation: int
    """The newest that it has seen."""
    gateway: PlainGateway | None
    secrets_file: Mapping[str, str]

    def disk(self, volume_id: str) -> PlainVolume | None:
        """A disk that is attached here."""
        ...

    def fetch_secret(self, name: str) -> str:
        """As this machine may. Raises `PermissionError` or `LookupError`."""
        ...

    def pull(self, image: str) -> bool:
        """Have the image here; False where it can't be had."""
        ...

    def run_gateway(self, berth: Berth) -> None:
        """Make a container and start it."""
        ...

    def remove_gateway(self) -> None:
        """End and remove the container, unmount its disk, forget its secrets."""
        ...

    def restart_gateway(self) -> None:
        """Restart the container."""
        ...


Words = Mapping[str, str]


def interpret(host: Host, script: str) -> CommandResult:
    """Do what the script's last line says; 127 for any other script, as a shell answers for a command that it has not."""
    lines = script.strip().splitlines()
    words = _split(lines[-1]) if lines else []
    if len(words) < 2 or words[0] != COMMAND:
        return CommandResult(NO_SUCH_COMMAND, "", "this machine runs nothing but the platform's script\n")
    verb = VERBS.get(words[1])
    if verb is None or not all("=" in word for word in words[2:]):
        return CommandResult(Exit.USAGE, "", f"{COMMAND}: unknown verb or argument\n")
    given = {name: value for name, _, value in (word.partition("=") for word in words[2:])}
    try:
        _check_generation(host, given)
        return CommandResult(Exit.DONE, verb(host, given), "")
    except Ended as ended:
        return CommandResult(ended.code, "", f"{COMMAND}: {ended.message}\n")
    except KeyError as missing:
        return CommandResult(Exit.USAGE, "", f"{COMMAND}: {missing} is missing\n")
    except ValueError as problem:
        return CommandResult(Exit.USAGE, "", f"{COMMAND}: {problem}\n")


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _check_generation(host: Host, given: Words) -> None:
    if "generation" in given and int(given["generation"]) < host.generation:
        raise Ended(Exit.OLDER_GENERATION, f"this machine has seen generation {host.generation}")


def _start(host: Host, given: Words) -> str:
    generation, order = int(given["generation"]), _config_order(given["config"])
    volume = host.disk(given["volume"])
    if volume is None:
        raise Ended(Exit.NO_VOLUME, f"{given['volume']} is not attached")
    berth = Berth(given["instance"], volume, given["image"])
    if host.gateway is not None and host.gateway.running and host.gateway.berth == berth:
        host.generation = generation
        return ""
    _take(volume, given["instance"], fresh=given["fresh"] == "1")
    if host.gateway is not None:
        host.remove_gateway()
    volume.mounted = True
    host.generation = generation
    secrets = _fetch(host, given["secret"])
    if not host.pull(given["image"]):
        raise Ended(Exit.NO_IMAGE, f"{given['image']} can't be pulled")
    host.secrets_file = secrets
    volume.config = merged(pruned(volume.config, order["prune"], order["patch"]), order["patch"])
    host.run_gateway(berth)
    return ""


def _config_order(encoded: str) -> dict[str, Any]:
    order = json.loads(base64.b64decode(encoded, validate=True))
    if not isinstance(order, dict) or not isinstance(order.get("patch"), dict):
        raise ValueError("config has no patch")
    return {"patch": order["patch"], "prune": list(order.get("prune", []))}


def _take(volume: PlainVolume, instance_id: str, *, fresh: bool) -> None:
    """Check the mark, or set it on an empty disk that was made for this instance."""
    if volume.mark == instance_id:
        return
    if volume.mark is not None:
        raise Ended(Exit.FOREIGN_VOLUME, f"{volume.volume_id} holds the data of {volume.mark}")
    if volume.files or volume.conversation or not fresh:
        raise Ended(Exit.FOREIGN_VOLUME, f"{volume.volume_id} has no mark")
    volume.formatted, volume.mark = True, instance_id


def _fetch(host: Host, name: str) -> dict[str, str]:
    try:
        content = json.loads(host.fetch_secret(name))
    except (PermissionError, LookupError) as problem:
        raise Ended(Exit.SECRET_DENIED, f"the secret can't be read ({type(problem).__name__})") from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Ended(Exit.OTHER, "the secret is no JSON object")
    return {str(key): str(value) for key, value in content.items()}


def _gateway(host: Host, given: Words) -> PlainGateway:
    if host.gateway is None or given.get("instance", host.gateway.instance_id) != host.gateway.instance_id:
        raise Ended(Exit.NO_GATEWAY, "no such gateway here")
    return host.gateway


def _secrets(host: Host, given: Words) -> str:
    generation, _ = int(given["generation"]), _gateway(host, given)
    host.secrets_file = _fetch(host, given["secret"])
    host.generation = generation
    return ""


def _stop(host: Host, _given: Words) -> str:
    host.remove_gateway()
    return ""


def _restart(host: Host, given: Words) -> str:
    if given["now"] not in ("0", "1"):
        raise ValueError("now is 0 or 1")
    _gateway(host, given)
    host.restart_gateway()
    return ""


def _inspect(host: Host, given: Words) -> str:
    gateway = _gateway(host, given)
    facts: dict[str, object] = {
        "running": int(gateway.running),
        "exit": gateway.exit_code,
        "refused": int(gateway.refused),
        "restarts": gateway.restarts,
        "started": int(gateway.started_at),
        "oom": int(gateway.oom),
        "instance": gateway.instance_id,
        "generation": host.generation,
        "image": gateway.berth.image,
        "problem": base64.b64encode(gateway.problem.encode()).decode() if gateway.problem else None,
    }
    return "".join(f"{name}={value}\n" for name, value in facts.items() if value is not None)


def _keep_config(host: Host, given: Words) -> str:
    volume = _gateway(host, given).volume
    volume.proven = dict(volume.config)
    return ""


def _mend(host: Host, given: Words) -> str:
    volume = _gateway(host, given).volume
    volume.config = dict(volume.proven or {})
    return ""


def _logs(host: Host, given: Words) -> str:
    return "".join(f"{line}\n" for line in _gateway(host, given).logs(int(given["lines"])))


VERBS: Final[Mapping[str, Callable[[Host, Words], str]]] = {
    "start": _start,
    "secrets": _secrets,
    "stop": _stop,
    "restart": _restart,
    "inspect": _inspect,
    "keep-config": _keep_config,
    "mend": _mend,
    "logs": _logs,
}
