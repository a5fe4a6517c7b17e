"""Which proxies in front of the platform are believed about who asks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_network


def parse_networks(text: str | Iterable[str]) -> tuple[str, ...]:
    """Addresses and networks, apart by commas or blanks, each as a network such as `10.0.0.0/24`. Raises `ValueError` for anything else."""
    words = re.split(r"[,\s]+", text.strip()) if isinstance(text, str) else [str(word) for word in text]
    return tuple(_network(word) for word in words if word)


def _network(word: str) -> str:
    try:
        network = ip_network(word)
    except ValueError:
        raise ValueError(f"{word[:60]!r} is neither an address nor a network; write 10.0.0.5 or 10.0.0.0/24, apart by commas") from None
    if network.prefixlen == 0:
        raise ValueError(f"{word} is everybody, who could then claim to come from anywhere; name the proxies")
    return str(network)
