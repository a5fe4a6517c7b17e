"""What readiness and placement both do with a gateway and its credentials."""

from __future__ import annotations

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.domain.errors import GatewayRejectedSettings, NotFound, Unavailable
from openclaw_hosted.domain.gateway import Credential, Credentials
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.gateways import Seat

EXIT_SETTINGS_REFUSED = 78
"""OpenClaw's exit code for a configuration that it can't start with."""


async def ensure_token(ports: Ports, instance_id: InstanceId, *, fresh: bool = False) -> Credentials:
    """The vault's document for an id, with a gateway token in it, made if there is none. A retired one is restored."""
    try:
        return await ports.vault.get(instance_id, fresh=fresh)
    except NotFound:
        pass
    try:
        await ports.vault.restore(instance_id)
        return await ports.vault.get(instance_id)
    except NotFound:
        document = {Credential.GATEWAY_TOKEN: ports.ids.token()}
        await ports.vault.put(instance_id, document, 0)
        return document


def seat_of(machine: Machine) -> Seat:
    """The seat that the row of a launched machine tells of."""
    assert machine.provider_ref is not None
    return Seat(machine.provider_ref, machine.instance_id or machine.reserved_instance_id, machine.generation, machine.address)


async def wait_until_ready(ports: Ports, options: ControllerOptions, seat: Seat) -> None:
    """Wait until the gateway has proven that it serves whom it should.

    Raises `GatewayRejectedSettings` when it exited over its settings, `Unavailable` when it was not ready in time.
    """
    deadline = ports.clock.monotonic() + options.gateway_ready_seconds
    problem = "OpenClaw was not ready in time."
    while ports.clock.monotonic() < deadline:
        status = await ports.gateways.status(seat)
        if status.ready and status.instance_id == seat.instance_id:
            return
        if not status.running and status.exit_code == EXIT_SETTINGS_REFUSED:
            raise GatewayRejectedSettings(status.problem or "OpenClaw refused to start with these settings.")
        problem = status.problem or problem
        await ports.clock.sleep(options.poll_seconds)
    raise Unavailable(problem)
