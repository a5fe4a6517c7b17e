"""Subnets. Moto tells the state of a subnet's IPv6 block in a form that no SDK reads, and Terraform waits for it in vain."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.subnets import Subnet


def _blocks(subnet: Any) -> list[dict[str, Any]]:
    found = subnet.ipv6_cidr_block_associations.values()
    return [dict(block) for block in found if block["ipv6CidrBlockState"]["State"] == "associated"]


Subnet.ipv6_cidr_block_association_set = property(_blocks)
