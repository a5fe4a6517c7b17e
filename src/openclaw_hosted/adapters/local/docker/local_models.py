"""Servers of models on this computer, such as Ollama, that its operator opens to Docker machines.

They listen on the loopback most often, where no container gets. A relay listens on the bridge's own address, at the same port, and
leads there; it is a small container of its own, so that it runs on without the platform. The firewall opens these ports and no other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.network import MachineNetwork
from openclaw_hosted.domain.addresses import THIS_COMPUTER, LocalModels
from openclaw_hosted.domain.errors import NotFound

PROGRAM: Final = (Path(__file__).parent / "local_models.mjs").read_text(encoding="utf-8")
MEMORY: Final = "128m"


async def ensure_relay(network: MachineNetwork, image: str, local: LocalModels) -> None:
    """Have a relay run that leads to these servers and no other; none where there are none. Raises `PortError`."""
    name, wanted = relay_name(network), [*_command(local)]
    try:
        facts = json.loads(await docker("inspect", "--type", "container", name))[0]
    except NotFound:
        facts = None
    if facts is not None:
        is_as_wanted = facts["State"]["Running"] and (facts["Config"]["Image"], facts["Config"]["Cmd"]) == (image, wanted)
        if is_as_wanted and local.models:
            return
        await remove_relay(network)
    if local.models:
        await docker(
            "run", "--detach", "--name", name, "--restart", "unless-stopped", "--network", "host", "--read-only", "--user", "1000:1000",
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", MEMORY, "--pids-limit", "32", "--log-driver", "none",
            "--entrypoint", "node", image, *wanted,
        )  # fmt: skip


async def remove_relay(network: MachineNetwork) -> None:
    """End it, if it runs. Raises `PortError`."""
    with suppress(NotFound):
        await docker("rm", "--force", relay_name(network))


def relay_name(network: MachineNetwork) -> str:
    """The relay's container."""
    return f"{network.name}-models"


def _command(local: LocalModels) -> Sequence[str]:
    return ("--input-type=module", "--eval", PROGRAM, "--", local.at, THIS_COMPUTER, *map(str, local.ports))
