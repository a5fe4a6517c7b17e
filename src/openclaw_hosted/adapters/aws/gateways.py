"""Gateways: started and stopped by Run Command, and spoken to over the machine's private address.

The machine fetches its credentials itself. What only a running gateway can tell or do is asked over HTTP, with its token, so that
looking after a fleet costs no AWS calls; a gateway that does not answer is looked at by Run Command, now and then.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.aws.fleet import Ec2Machine, Fleet
from openclaw_hosted.adapters.aws.names import Tag, secret_of
from openclaw_hosted.adapters.aws.vault import AwsVault
from openclaw_hosted.adapters.aws.volumes import AwsVolumes
from openclaw_hosted.adapters.openclaw import running, senders
from openclaw_hosted.adapters.openclaw.config import Places, merge_patch, settings_patch
from openclaw_hosted.adapters.openclaw.logs import blot, readable
from openclaw_hosted.adapters.openclaw.patches import encoded_patch
from openclaw_hosted.adapters.openclaw.rpc import GatewayClient
from openclaw_hosted.domain.errors import Conflict, NotFound, PortError, Unavailable
from openclaw_hosted.domain.gateway import Credential, Credentials, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, VolumeId
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import BootstrapTicket, GatewayStatus, SenderRequest

IDENTITY_SECONDS: Final = 5.0
INSPECT_SECONDS: Final = 10.0
"""How often a gateway that does not answer is looked at by Run Command."""
GRACE_SECONDS: Final = 12.0
"""How long one that was just started is left alone before that."""
REFUSED_EXIT_CODE: Final = 78
SAME_START_SECONDS: Final = 10.0
"""Node.js starts within this after its container."""
WAY_OUT: Final = "Change the settings, or restart it to go back to what it last ran with."


@dataclass(frozen=True, slots=True)
class Inside:
    """How machines are set up inside (machine/openclaw-machine.sh)."""

    origins_of: Callable[[InstanceId], Sequence[str]]
    """The browser origins that an instance's page is used from."""
    trusted_proxies: Sequence[str]
    secret_prefix: str
    log_group: str | None = None
    """The CloudWatch group that containers log to; without it their logs stay on the machines."""

    def places(self, instance_id: InstanceId) -> Places:
        """Where a gateway finds things."""
        log = "/tmp/openclaw.jsonl"  # noqa: S108 - inside the container
        origins = self.origins_of(instance_id)
        return Places(8080, "lan", "/run/openclaw/secrets.json", log, "/opt/oc-hosted", self.trusted_proxies, origins, "warn")


@dataclass
class Remembered:
    """What this process knows of a machine's gateway; another process finds it out again."""

    instance_id: InstanceId | None = None
    """Whom it was last started for."""
    in_force: tuple[int, int] | None = None
    """Generation and revision that it has for sure."""
    delivered: str | None = None
    """Of the credentials that it has for sure, a hash."""
    started_at: float | None = None
    """When it was last told to start, by the monotonic clock."""
    inspected_at: float | None = None
    inspected: GatewayStatus = field(default_factory=lambda: GatewayStatus(running=False, ready=False))
    answered: GatewayStatus | None = None
    replaced: float | None = None
    """When the one was started that was told to end."""
    outdated: bool | None = None
    """Whether its configuration names old addresses of the platform; None before it was looked at."""


class AwsGateways:
    """`Gateways` on EC2 machines."""

    def __init__(self, fleet: Fleet, commands: RunCommand, vault: AwsVault, volumes: AwsVolumes, clock: Clock, inside: Inside) -> None:
        self._fleet = fleet
        self._commands = commands
        self._vault = vault
        self._volumes = volumes
        self._clock = clock
        self._inside = inside
        self._memory: dict[str, Remembered] = {}
        self._tokens: dict[InstanceId, str] = {}
        self._http = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=100))

    async def aclose(self) -> None:
        """Close the connections; gateways run on."""
        await self._http.aclose()

    async def start(self, provider_ref: str, spec: GatewaySpec) -> None:
        """Volume, credentials, configuration and container; see the port. The machine checks generation and mark itself."""
        running.check_shipped(spec)
        machine = await self._fleet.find(provider_ref)
        volume = await self._volumes.existing(spec.volume_id)
        if volume.instance_id not in (None, spec.instance_id):
            raise Conflict(f"Volume {spec.volume_id} holds the data of instance {volume.instance_id}, not of {spec.instance_id}.")
        attached = await self._volumes.attach_to(provider_ref, spec.volume_id)
        document = await self._vault.get(spec.instance_id)
        await self._commands.run(
            provider_ref, "start",
            instance=spec.instance_id, generation=spec.generation, volume=attached.ref, fresh=int(volume.instance_id is None),
            image=spec.image, secret=secret_of(self._inside.secret_prefix, spec.instance_id),
            config=encoded_patch(spec, self._inside.places(spec.instance_id)),
            **({"log": self._inside.log_group} if self._inside.log_group else {}),
        )  # fmt: skip
        self._tokens[spec.instance_id] = document[Credential.GATEWAY_TOKEN]
        self._memory[provider_ref] = Remembered(spec.instance_id, started_at=self._clock.monotonic())
        await self._volumes.mark(spec.volume_id, spec.instance_id)
        await self._let_go_of_others(machine, spec.volume_id)

    async def apply(self, provider_ref: str, spec: GatewaySpec) -> None:
        """Bring settings and credentials into force. Costs no AWS call where the credentials are those that it has."""
        running.check_shipped(spec)
        memory = self._remember(provider_ref)
        if memory.in_force == (spec.generation, spec.revision):
            return
        document = await self._vault.get(spec.instance_id)
        fingerprint = _fingerprint(document)
        stale = memory.delivered != fingerprint and (spec.revision > 0 or memory.delivered is not None)
        if stale:
            await self._deliver(provider_ref, spec)
        client = await self._client(provider_ref, spec.instance_id)
        existing, _ = await running.present_config(client)
        patch = settings_patch(spec, self._inside.places(spec.instance_id), existing)
        await running.reload(client, existing, patch, document.values(), credentials_changed=stale)
        await running.check_in_force(client, spec)
        memory.delivered, memory.in_force, memory.outdated = fingerprint, (spec.generation, spec.revision), False

    async def restart(self, provider_ref: str, *, at_once: bool = False) -> None:
        """Stop the gateway and start it again; the machine remembers that it told the one that runs."""
        await self._commands.run(provider_ref, "restart", now=int(at_once))
        memory = self._remember(provider_ref)
        memory.replaced = memory.answered.started_at if memory.answered is not None else memory.replaced
        memory.started_at = memory.inspected_at = memory.answered = None

    async def stop(self, provider_ref: str) -> None:
        """Stop it cleanly, and unmount its volume. Does nothing on a machine that is gone."""
        try:
            machine = await self._fleet.find(provider_ref)
            if machine.state == "running":
                await self._commands.run(provider_ref, "stop")
        except NotFound:
            return
        finally:
            self._memory.pop(provider_ref, None)

    async def status(self, provider_ref: str) -> GatewayStatus:
        """How it is now; ready means that it proved who it is, with its token."""
        machine = await self._fleet.find(provider_ref)
        instance_id = self._serves(machine)
        if instance_id is None:
            return GatewayStatus(running=False, ready=False)
        memory = self._remember(provider_ref)
        try:
            client = await self._client(provider_ref, instance_id)
            identity = await client.bridge("identity", timeout_seconds=IDENTITY_SECONDS)
            ready = memory.answered is not None or await client.is_ready()
        except PortError:
            return await self._inspected(provider_ref, memory)
        said, started_at = identity.get("instanceId"), _number(identity.get("startedAt"))
        stopping = identity.get("stopping") is True or (started_at is not None and started_at == memory.replaced)
        status = GatewayStatus(
            running=True, ready=ready and said == instance_id and not stopping, stopping=stopping,
            instance_id=said if isinstance(said, str) else None, started_at=started_at, restarts=memory.inspected.restarts,
            outdated=await self._is_outdated(memory, client, instance_id),
        )  # fmt: skip
        if status.ready:
            memory.answered = status
        return status

    async def warm_up(self, provider_ref: str) -> None:
        """Have it answer one turn and forget it; what it became ready with is kept, to go back to."""
        machine = await self._fleet.find(provider_ref)
        await running.warm_up(await self._client(provider_ref, self._serves(machine)))
        await self._commands.run(provider_ref, "keep-config")
        await self.keep_warm(provider_ref)

    async def keep_warm(self, provider_ref: str) -> None:
        """Touch what OpenClaw lets go of when nobody asks for it."""
        instance_id = self._serves(await self._fleet.find(provider_ref))
        if instance_id is not None:
            await running.keep_warm(await self._client(provider_ref, instance_id), instance_id)

    async def mint_bootstrap(self, provider_ref: str) -> BootstrapTicket:
        """A ticket that lets one browser in as the owner."""
        return await running.mint_bootstrap(await self._owner(provider_ref))

    async def sender_requests(self, provider_ref: str) -> Sequence[SenderRequest]:
        """Who waits to be approved, the oldest first."""
        return await senders.sender_requests(await self._owner(provider_ref))

    async def settle_sender(self, provider_ref: str, request_id: str, *, approve: bool) -> None:
        """Approve a sender, or drop the request. Raises `NotFound` for one that is gone."""
        await senders.settle_sender(await self._owner(provider_ref), request_id, approve=approve)

    async def logs(self, provider_ref: str, lines: int = 200) -> Sequence[str]:
        """The newest log lines; the machine itself blots out what its secrets file holds."""
        said = await self._commands.run(provider_ref, "logs", lines=lines)
        return [blot(readable(line), ()) for line in said.stdout.splitlines()][-lines:]

    async def _deliver(self, provider_ref: str, spec: GatewaySpec) -> None:
        """Have the machine fetch its credentials anew; what it ran with until now is kept, to go back to."""
        await self._commands.run(
            provider_ref, "secrets", before="openclaw_machine keep-config || true",
            instance=spec.instance_id, generation=spec.generation, secret=secret_of(self._inside.secret_prefix, spec.instance_id),
        )  # fmt: skip

    async def _let_go_of_others(self, machine: Ec2Machine, volume_id: VolumeId) -> None:
        """Detach the volume that the machine came with, when it serves another one now."""
        for volume in await self._volumes.on(machine.ref):
            if volume.volume_id != volume_id and machine.machine_id is not None:
                await self._volumes.detach(volume.volume_id, machine.machine_id)

    async def _inspected(self, provider_ref: str, memory: Remembered) -> GatewayStatus:
        """How a gateway is that does not answer."""
        now = self._clock.monotonic()
        young = memory.started_at is not None and now - memory.started_at < GRACE_SECONDS
        if young or (memory.inspected_at is not None and now - memory.inspected_at < INSPECT_SECONDS):
            return GatewayStatus(running=True, ready=False) if young else memory.inspected
        memory.inspected_at = now
        try:
            said = (await self._commands.run(provider_ref, "inspect")).fields()
        except NotFound:
            said = {}
        memory.inspected = _status(said, memory.answered)
        return memory.inspected

    async def _is_outdated(self, memory: Remembered, client: GatewayClient, instance_id: InstanceId) -> bool:
        """Looked at once for each machine and process: the platform's addresses are settings of the process."""
        if memory.outdated is None:
            existing, _ = await running.present_config(client)
            origins = {"gateway": {"controlUi": {"allowedOrigins": sorted(self._inside.origins_of(instance_id))}}}
            memory.outdated = merge_patch(existing, origins) != existing
        return memory.outdated

    async def _owner(self, provider_ref: str) -> GatewayClient:
        return await self._client(provider_ref, self._serves(await self._fleet.find(provider_ref)))

    async def _client(self, provider_ref: str, instance_id: InstanceId | None) -> GatewayClient:
        machine = await self._fleet.find(provider_ref)
        if instance_id is None or machine.address is None:
            raise Unavailable(f"No gateway was started on machine {provider_ref}.")
        if instance_id not in self._tokens:
            self._tokens[instance_id] = (await self._vault.get(instance_id))[Credential.GATEWAY_TOKEN]
        return GatewayClient(self._http, machine.address, self._tokens[instance_id])

    def _serves(self, machine: Ec2Machine) -> InstanceId | None:
        """Whose gateway it is: as this process started it, else as its tags say."""
        memory = self._memory.get(machine.ref)
        if memory is not None and memory.instance_id is not None:
            return memory.instance_id
        name = machine.tags.get(Tag.INSTANCE) or machine.tags.get(Tag.RESERVED)
        return InstanceId(name) if name else None

    def _remember(self, provider_ref: str) -> Remembered:
        return self._memory.setdefault(provider_ref, Remembered())


def _fingerprint(document: Credentials) -> str:
    return hashlib.sha256(json.dumps(dict(document), sort_keys=True).encode()).hexdigest()


def _status(said: dict[str, str], answered: GatewayStatus | None) -> GatewayStatus:
    """What `inspect` printed. A container that ran before the gateway last answered is the one that answered."""
    exit_code = REFUSED_EXIT_CODE if said.get("refused") == "1" else _count(said.get("exit"))
    started_at = _number(said.get("started"))
    if (
        answered is not None
        and answered.started_at is not None
        and started_at is not None
        and abs(started_at - answered.started_at) < SAME_START_SECONDS
    ):
        started_at = answered.started_at
    return GatewayStatus(
        running=said.get("running") == "1" and said.get("refused") != "1", ready=False, stopping=said.get("stopping") == "1",
        started_at=started_at,
        restarts=_count(said.get("restarts")) or 0, exit_code=exit_code, problem=_problem(said, exit_code),
    )  # fmt: skip


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode(errors="replace")
    except ValueError:
        return ""


def _problem(said: dict[str, str], exit_code: int | None) -> str | None:
    reason = blot(_decoded(said.get("problem", "")), ())[:600]
    if exit_code == REFUSED_EXIT_CODE:
        return f"OpenClaw refused to start with these settings. {reason or 'Its log says more.'} {WAY_OUT}"
    if said.get("oom") == "1":
        return "OpenClaw was killed because it used up its memory. It is started again."
    if exit_code:
        return f"OpenClaw ended with exit code {exit_code}. {reason}".strip()
    return reason or None


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) and value != "" else None
    except (ValueError, OverflowError):
        return None


def _count(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and math.isfinite(number) else None
