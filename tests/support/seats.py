"""Seats, as controllers make them from rows."""

from __future__ import annotations

from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.gateways import Seat

SOMEBODY = InstanceId("oc-22222222")


def seat(ref: str, spec: GatewaySpec | None = None) -> Seat:
    """The machine that serves, or is to serve, the gateway of `spec`; without it, where whom it serves is no matter."""
    return Seat(ref, SOMEBODY) if spec is None else Seat(ref, spec.instance_id, spec.generation)
