"""What the platform's machine script does, without a shell: its calls `openclaw_machine VERB key=value ...`, interpreted.

The script defines that function, and ends with a call; a call before it may be followed by `|| true`.
"""

from __future__ import annotations

import base64
import json
import re
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
UNIT: Final = "/etc/systemd/system/openclaw-machine.service"
"""What a script has to write so that the machine runs its verb `boot` before Docker starts."""
NO_SUCH_COMMAND: Final = 127
CALL: Final = re.compile(rf"{COMMAND} [a-z]")


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
    unit: bool
    """Whether the script's verb `boot` runs at each boot."""
    metadata_closed: bool
    """Whether the firewall keeps containers from the metadata address."""
    gateway: PlainGateway | None
    secrets_file: Mapping[str, str]

    def disk(self, volume_id: str) -> PlainVolume | None:
        """A disk that is attached here."""
        ...

    def fetch_secret(self, name: str) -> str:
        """As this machine may. Raises `PermissionError` or `LookupError`."""
        ...

    def mounted(self) -> PlainVolume | None:
        """The disk that is mounted."""
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
    """Make the script's calls; 127 for a script that does not end with one, as a shell answers for a command that it has not."""
    lines = [line for line in script.splitlines() if line.strip()]
    if not lines or not CALL.match(lines[-1]):
        return CommandResult(NO_SUCH_COMMAND, "", "this machine runs nothing but the platform's script\n")
    for line in filter(CALL.match, lines[:-1]):
        _call(host, line.removesuffix("|| true"))
    if lines[-1].split()[1] == "start" and UNIT in script:
        host.unit = True
    return _call(host, lines[-1])


def _call(host: Host, line: str) -> CommandResult:
    words = _split(line)
    verb = VERBS.get(words[1]) if len(words) > 1 else None
    if verb is None or not all("=" in word for word in words[2:]):
        return CommandResult(Exit.USAGE, "", f"{COMMAND}: unknown verb or argument\n")
    given = {name: value for name, _, value in (word.partition("=") for word in words[2:])}
    try:
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


def _note_generation(host: Host, given: Words) -> None:
    generation = int(given["generation"])
    if generation < host.generation:
        raise Ended(Exit.OLDER_GENERATION, f"this machine has seen generation {host.generation}")
    host.generation = generation


def _prepare(host: Host, given: Words) -> str:
    if not host.pull(given["image"]):
        raise Ended(Exit.NO_IMAGE, f"{given['image']} can't be pulled")
    return ""


def _start(host: Host, given: Words) -> str:
    order = _config_order(given["config"])
    instance_id, volume_id, image, fresh = given["instance"], given["volume"], given["image"], given["fresh"] == "1"
    _note_generation(host, given)
    _prepare(host, given)
    host.metadata_closed = True
    volume = host.disk(volume_id)
    if volume is None:
        raise Ended(Exit.NO_VOLUME, f"{volume_id} is not attached")
    _mount(host, volume, instance_id, fresh=fresh)
    berth = Berth(instance_id, volume, image, reserved=int(given["generation"]) == 0)
    if host.gateway is not None and host.gateway.berth == berth and host.gateway.running:
        return ""
    secrets = _fetch(host, given["secret"])
    if host.gateway is not None and host.gateway.refused:
        volume.config = dict(volume.proven or {})
    host.remove_gateway()
    volume.mounted, host.secrets_file = True, secrets
    volume.config = merged(pruned(volume.config, order["prune"], order["patch"]), order["patch"])
    host.run_gateway(berth)
    return ""


def _config_order(encoded: str) -> dict[str, Any]:
    order = json.loads(base64.b64decode(encoded, validate=True))
    if not isinstance(order, dict) or not isinstance(order.get("patch"), dict):
        raise ValueError("config has no patch")
    return {"patch": order["patch"], "prune": list(order.get("prune", []))}


def _mount(host: Host, volume: PlainVolume, instance_id: str, *, fresh: bool) -> None:
    """Mount it in the place of another one, and see to its mark; formats an empty one, if that is said to be fresh."""
    if volume.mark not in (None, instance_id):
        raise Ended(Exit.FOREIGN_VOLUME, f"{volume.volume_id} holds the data of {volume.mark}")
    if volume.mark is None and (volume.files or volume.conversation):
        raise Ended(Exit.FOREIGN_VOLUME, f"{volume.volume_id} holds data of nobody knows whom")
    if not volume.formatted and not fresh:
        raise Ended(Exit.FOREIGN_VOLUME, f"{volume.volume_id} has no file system")
    if host.mounted() not in (None, volume):
        host.remove_gateway()
    volume.formatted, volume.mark, volume.mounted = True, instance_id, True


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
    gateway = _gateway(host, given)
    _note_generation(host, given)
    host.secrets_file = gateway.live = _fetch(host, given["secret"])
    return ""


def _stop(host: Host, _given: Words) -> str:
    host.remove_gateway()
    return ""


def _restart(host: Host, given: Words) -> str:
    if given.get("now", "0") not in ("0", "1"):
        raise ValueError("now is 0 or 1")
    if not _gateway(host, given).running:
        _boot(host, given)
    host.restart_gateway()
    return ""


def _boot(host: Host, _given: Words) -> str:
    """What a reboot takes away: the firewall's rule, and the mount of the gateway that belongs here."""
    host.metadata_closed = True
    if host.gateway is not None:
        volume = host.disk(host.gateway.volume.volume_id)
        if volume is None:
            raise Ended(Exit.NO_VOLUME, f"{host.gateway.volume.volume_id} is not attached")
        _mount(host, volume, host.gateway.instance_id, fresh=False)
    return ""


def _revive(host: Host, given: Words) -> str:
    _boot(host, given)
    if host.gateway is not None and not host.gateway.running and not host.gateway.refused:
        host.restart_gateway()
    return ""


def _inspect(host: Host, _given: Words) -> str:
    """One line for each fact, empty where there is none; also of a machine without a gateway."""
    gateway = host.gateway
    facts = dict.fromkeys(("running", "exit", "refused", "restarts", "started", "oom", "instance", "image", "volume", "problem"), "")
    facts |= {"running": "0", "refused": "0", "restarts": "0", "oom": "0", "generation": str(host.generation)}
    if gateway is not None:
        facts |= {
            "running": str(int(gateway.running)),
            "exit": "" if gateway.exit_code is None else str(gateway.exit_code),
            "refused": str(int(gateway.refused)),
            "restarts": str(gateway.restarts),
            "started": str(int(gateway.started_at)),
            "oom": str(int(gateway.oom)),
            "instance": gateway.instance_id,
            "image": gateway.berth.image,
            "volume": gateway.volume.volume_id,
            "problem": base64.b64encode((gateway.problem or "").encode()).decode(),
        }
    return "".join(f"{name}={value}\n" for name, value in facts.items())


def _mounted(host: Host) -> PlainVolume:
    volume = host.mounted()
    if volume is None:
        raise Ended(Exit.NO_GATEWAY, "no volume is mounted")
    return volume


def _keep_config(host: Host, _given: Words) -> str:
    volume = _mounted(host)
    volume.proven = dict(volume.config)
    return ""


def _logs(host: Host, given: Words) -> str:
    return "".join(f"{line}\n" for line in _gateway(host, given).logs(int(given["lines"])))


VERBS: Final[Mapping[str, Callable[[Host, Words], str]]] = {
    "prepare": _prepare,
    "start": _start,
    "secrets": _secrets,
    "stop": _stop,
    "restart": _restart,
    "boot": _boot,
    "revive": _revive,
    "inspect": _inspect,
    "keep-config": _keep_config,
    "logs": _logs,
}
