"""The network of Docker machines: each reaches the internet, and none another, this computer, or a cloud's metadata service.

Docker keeps containers of a bridge apart, but lets them reach the computer itself. What forbids that is a table of nftables of the
platform's own, which neither Docker nor a firewall's reload of its own tables touches. It is put in place by a short-lived container,
so that it takes the right to use Docker and no other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.domain.errors import NotFound, PortError, ProviderAway, Unavailable

METADATA: Final = "169.254.0.0/16"
RULES: Final = Template("""
table inet $table
delete table inet $table
table inet $table {
    chain to_this_computer {
        type filter hook input priority filter - 5; policy accept;
        iifname "$bridge" ct state established,related accept
        $models
        iifname "$bridge" meta l4proto tcp reject with tcp reset
        iifname "$bridge" drop
    }
    chain onward {
        type filter hook forward priority filter - 5; policy accept;
        iifname "$bridge" oifname "$bridge" drop
        iifname "$bridge" ip daddr $metadata drop
    }
}
""")


MODELS: Final = Template("""iifname "$bridge" ip daddr $gateway tcp dport { $ports } accept
        iifname != { "$bridge", "lo" } ip daddr $gateway tcp dport { $ports } drop""")
"""Open to machines, and closed to the networks around this computer, which may route packets to the bridge."""


@dataclass(frozen=True, slots=True)
class MachineNetwork:
    """A bridge of Docker's; `gateway` is the address from which this computer speaks to machines."""

    name: str
    bridge: str
    gateway: str

    @property
    def table(self) -> str:
        """Of nftables, with the rules for this bridge."""
        return self.bridge.replace("-", "_")


async def ensure_network(data_dir: Path) -> MachineNetwork:
    """Make the network of a data directory unless it exists. Raises `Unavailable` or `PortError`."""
    own = _name_of(data_dir)
    name, bridge = f"openclaw-hosted-{own}", f"oc-{own}"
    try:
        described = await docker("network", "inspect", name)
    except NotFound:
        options = ("com.docker.network.bridge.enable_icc=false", f"com.docker.network.bridge.name={bridge}")
        await docker("network", "create", "--driver", "bridge", *(part for option in options for part in ("--opt", option)), name)
        described = await docker("network", "inspect", name)
    configs = json.loads(described)[0]["IPAM"]["Config"] or [{}]
    if "Gateway" not in configs[0]:
        raise PortError(f"Docker's network {name} has no address. Remove it, and start again: docker network rm {name}")
    return MachineNetwork(name, bridge, configs[0]["Gateway"])


def _name_of(data_dir: Path) -> str:
    return hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:8]


async def ensure_guard(network: MachineNetwork, image: str, open_ports: Collection[int] = ()) -> None:
    """Put the rules in place, all at once, whatever was there before; `open_ports` of the bridge's own address are reached by machines.

    A connection to anything else of this computer is refused rather than left without an answer, so that whoever tries it knows at
    once. Raises `Unavailable` where the rules can't be put in place.
    """
    ports = ", ".join(map(str, sorted(open_ports)))
    models = MODELS.substitute(bridge=network.bridge, gateway=network.gateway, ports=ports) if ports else ""
    rules = RULES.substitute(table=network.table, bridge=network.bridge, metadata=METADATA, models=models)
    try:
        await _nft(image, rules)
    except ProviderAway:
        raise
    except PortError as problem:
        raise Unavailable(f"The firewall between machines and this computer can't be put in place: {problem}") from None


async def remove_network(network: MachineNetwork, image: str) -> None:
    """Take network and rules away, once no machine is left on it. Does nothing where there is none."""
    try:
        await docker("network", "rm", network.name)
    except NotFound:
        return
    await _nft(image, f"table inet {network.table}\ndelete table inet {network.table}\n")


async def _nft(image: str, rules: str) -> None:
    await docker(
        "run", "--rm", "--interactive", "--network", "host", "--user", "0", "--read-only", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN",
        "--security-opt", "no-new-privileges", "--log-driver", "none", "--entrypoint", "nft", image, "-f", "-", stdin=rules.encode(),
    )  # fmt: skip
