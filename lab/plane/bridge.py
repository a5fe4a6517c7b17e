"""The network of a lab's machines: a bridge on which they reach the lab's own services at its gateway address, and nothing else.

The host reaches every machine. Machines do not reach each other (Docker's `icc=false`, in a security group's place), nor other networks,
nor the host's other services.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
from collections.abc import Iterable
from typing import Final

from lab.plane.docker import ToolFailed, docker, run
from lab.plane.home import LabHome, firewall_rules

TRIES: Final = 30
POOLS: Final = ipaddress.ip_network("10.208.0.0/12")


class Bridge:
    """Made by the constructor; `LabHome.close` removes it."""

    def __init__(self, home: LabHome) -> None:
        self.name = home.bridge
        self._network = _create(home)
        self.cidr = str(self._network)
        hosts = list(self._network.hosts())
        self.gateway = str(hosts[0])
        self._hosts = [str(host) for host in hosts[1:]]
        self._next = 0
        run("iptables", "--wait", "-N", self.name)
        run("iptables", "--wait", "-A", self.name, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT")
        run("iptables", "--wait", "-A", self.name, "-j", "DROP")
        for chain, *rule in firewall_rules(home.id):
            run("iptables", "--wait", "-I", chain, *rule)

    def allow(self, port: int) -> None:
        """Let machines reach this port of the gateway address."""
        run("iptables", "--wait", "-I", self.name, "-p", "tcp", "-d", self.gateway, "--dport", str(port), "-j", "ACCEPT")

    def free_address(self, taken: Iterable[str]) -> str:
        """An address for a machine; the ones that were given up are used last."""
        occupied = set(taken)
        for _ in self._hosts:
            address = self._hosts[self._next % len(self._hosts)]
            self._next += 1
            if address not in occupied:
                return address
        raise OSError("the lab's network is full")


def _create(home: LabHome) -> ipaddress.IPv4Network:
    subnets = 2 ** (24 - POOLS.prefixlen)
    base = int(POOLS.network_address)
    for _ in range(TRIES):
        network = ipaddress.IPv4Network((base + 256 * secrets.randbelow(subnets), 24))
        with contextlib.suppress(ToolFailed):
            docker(
                "network", "create", "--label", home.label, "--subnet", str(network),
                "--opt", f"com.docker.network.bridge.name={home.bridge}",
                "--opt", "com.docker.network.bridge.enable_icc=false", home.bridge,
            )  # fmt: skip
            return network
    raise OSError("no network could be made for the lab")
