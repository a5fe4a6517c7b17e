"""Which numbers (IP addresses) are this computer's own, now: they change as it goes from network to network."""

from __future__ import annotations

import socket
from ipaddress import ip_address


def is_own_number(host: str) -> bool:
    """Whether `host` is an address of this computer: one can listen on no other."""
    try:
        number = ip_address(host)
    except ValueError:
        return False
    if number.is_unspecified or number.is_multicast:
        return False
    family = socket.AF_INET6 if number.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
