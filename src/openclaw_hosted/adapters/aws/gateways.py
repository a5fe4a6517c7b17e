"""Gateways: started and stopped by Run Command, and spoken to over the machine's private address.

The machine fetches its credentials itself. What only a running gateway can tell or do is asked over HTTP, with its token, so that
looking after a fleet costs no AWS calls; a gateway that does not answer is looked at by Run Command, now and then.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.aws.fleet import Ec2Machine, Fleet
from openclaw_hosted.adapters.aws.health import HealthLog
from openclaw_hosted.adapters.aws.log_search import LogSearch
from openclaw_hosted.adapters.aws.names import Tag, secret_of
from openclaw_hosted.adapters.aws.vault import AwsVault
from openclaw_hosted.adapters.aws.volumes import AwsVolumes, EbsVolume
from openclaw_hosted.adapters.openclaw import running, senders
from openclaw_hosted.adapters.openclaw.config import Places, merge_patch, settings_patch
from openclaw_hosted.adapters.openclaw.logs import readable, redact
from openclaw_hosted.adapters.openclaw.patches import encoded_patch
from openclaw_hosted.adapters.openclaw.rpc import GatewayClient
from openclaw_hosted.adapters.openclaw.suspending import resume, suspend
from openclaw_hosted.adapters.openclaw.usage import usage
from openclaw_hosted.domain.errors import Denied, NotFound, PortError, Unavailable
from openclaw_hosted.domain.gateway import Credential, Credentials, CredentialsChange, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, VolumeId
from openclaw_hosted.domain.usage import DayOfUse
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import BootstrapTicket, GatewayStatus, Names, Seat, SenderRequest

CONTAINER: Final = "openclaw-gateway"
IDENTITY_SECONDS: Final = 5.0
KEPT_CONNECTIONS: Final = 20
"""To gateways, for the next request. With each request the client looks at all of them, and for each that rests at all of them again."""
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
    """What this process saw of one gateway, so as not to look again and again. Nothing of it is taken for a fact about whom it serves."""

    delivered: tuple[int, str] | None = None
    """Revision, and a hash, of the credentials that this process had the machine fetch last."""
    handed: float | None = None
    """When the gateway was started that was handed credentials which its machine has not fetched yet."""
    started_at: float | None = None
    """When it was last told to start, by the monotonic clock."""
    inspected_at: float | None = None
    inspected: GatewayStatus = field(default_factory=lambda: GatewayStatus(running=False, ready=False))
    answered: GatewayStatus | None = None
    """As it last was ready."""
    replaced: float | None = None
    """When the one was started that was told to end."""
    up_to_date: float | None = None
    """When the one was started whose configuration was seen to name the platform's addresses."""


class AwsGateways:
    """`Gateways` on EC2 machines."""

    def __init__(
        self,
        fleet: Fleet,
        commands: RunCommand,
        vault: AwsVault,
        volumes: AwsVolumes,
        clock: Clock,
        inside: Inside,
        search: LogSearch | None = None,
    ) -> None:
        """`search` is of the group that containers log to; None where their logs stay on the machines."""
        self._fleet = fleet
        self._commands = commands
        self._vault = vault
        self._volumes = volumes
        self._clock = clock
        self._inside = inside
        self._search = search
        self._health = HealthLog(clock)
        self._memory: dict[tuple[str, InstanceId], Remembered] = {}
        self._tokens: dict[InstanceId, str] = {}
        self._http = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=KEPT_CONNECTIONS))

    async def aclose(self) -> None:
        """Close the connections; gateways run on."""
        await self._http.aclose()

    async def start(self, seat: Seat, spec: GatewaySpec) -> None:
        """Volume, credentials, configuration and container; see the port. The machine checks generation and mark itself."""
        running.check_shipped(spec)
        machine = await self._fleet.find(seat.provider_ref)
        attached = await self._volumes.attach_to(seat.provider_ref, spec.volume_id, spec.instance_id)
        await self._volumes.mark_seen(attached, spec.instance_id)
        document = await self._vault.get(spec.instance_id)
        await self._commands.run(
            seat.provider_ref, "start",
            instance=spec.instance_id, generation=spec.generation, volume=attached.ref, fresh=int(attached.is_fresh),
            image=spec.image, secret=secret_of(self._inside.secret_prefix, spec.instance_id),
            config=encoded_patch(spec, self._inside.places(spec.instance_id)),
            **({"log": self._inside.log_group} if self._inside.log_group else {}),
            **_brought(attached, spec.instance_id),
        )  # fmt: skip
        self._tokens[spec.instance_id] = document[Credential.GATEWAY_TOKEN]
        self._forget(seat.provider_ref)
        self._memory[seat.provider_ref, spec.instance_id] = Remembered(started_at=self._clock.monotonic())
        await self._volumes.used(attached)
        if spec.generation:
            await self._let_go_of_others(machine, spec.volume_id)

    async def prepare(self, seat: Seat, spec: GatewaySpec) -> None:  # noqa: ARG002 - its volume is not here yet
        """End the container that is there."""
        if not (await self.status(seat)).ready:
            await self.stop(seat)

    async def stand_by(self, seat: Seat) -> bool:  # noqa: ARG002 - a container has its volume from its start
        """Nothing is loaded ahead in a container."""
        return False

    async def apply(self, seat: Seat, spec: GatewaySpec, given: CredentialsChange | None = None) -> None:
        """Bring settings and credentials into force; see the port. Costs no AWS call where they are `given`, or those that it has."""
        running.check_shipped(spec)
        memory, client = self._remembered(seat), await self._client(seat)
        wanted, handed = memory.delivered, memory.handed
        if given is None:
            document = await self._vault.get(spec.instance_id)
            wanted = (spec.revision, _fingerprint(document))
            secrets, changed = document.values(), await self._fetched(seat, spec, client, wanted)
        else:
            secrets, changed = given.set.values(), bool(given.set or given.remove)
            handed = await running.hand_credentials(client, given) if changed else handed
        existing, _ = await running.present_config(client)
        patch = settings_patch(spec, self._inside.places(spec.instance_id), existing)
        if given is not None and merge_patch(existing, patch) != existing:
            changed = False  # OpenClaw reads its credentials with its configuration, and would take two seconds to read them again
        await running.reload(client, existing, patch, secrets, credentials_changed=changed)
        await running.check_in_force(client, spec)
        if seat.generation:
            await running.open_to_owner(client)
        memory.delivered, memory.handed = wanted, handed if given is not None else None

    async def _fetched(self, seat: Seat, spec: GatewaySpec, client: GatewayClient, wanted: tuple[int, str]) -> bool:
        """Have the machine fetch what the vault has; whether the gateway has to read it, which was not handed it before."""
        memory = self._remembered(seat)
        stale = memory.delivered != wanted and (spec.revision > 0 or memory.delivered is not None)
        if not stale:
            return False
        await self._deliver(seat.provider_ref, spec)
        return memory.handed is None or running.number((await client.bridge("identity")).get("startedAt")) != memory.handed

    async def restart(self, seat: Seat, *, at_once: bool = False) -> None:
        """Stop the gateway and start it again; the machine remembers that it told the one that runs.

        What is told to end is what answered before: the next one may be seen before SSM reports the end of the command.
        """
        memory = self._remembered(seat)
        told = memory.answered.started_at if memory.answered is not None else memory.replaced
        await self._commands.run(seat.provider_ref, "restart", now=int(at_once))
        memory = self._remembered(seat)
        memory.replaced = told
        memory.started_at = memory.inspected_at = memory.answered = None

    async def revive(self, seat: Seat) -> None:
        """Have the machine mount the volume and start the container that it had, if that does not run."""
        await self._commands.run((await self._fleet.find(seat.provider_ref)).ref, "revive")

    async def suspend(self, seat: Seat, *, finish: bool = False) -> bool:
        """Have it rest; returns whether it does."""
        return await suspend(await self._client(seat), seat, finish=finish)

    async def resume(self, seat: Seat) -> None:
        """Have it take work again."""
        await resume(await self._client(seat), seat)

    async def stop(self, seat: Seat, *, within_seconds: float | None = None) -> None:
        """Stop it cleanly, and unmount its volume. Does nothing on a machine that is gone."""
        hurry = "" if within_seconds is None else f"docker stop -t {int(within_seconds)} {CONTAINER} >/dev/null 2>&1 || true"
        try:
            machine = await self._fleet.find(seat.provider_ref)
            if machine.state == "running":
                await self._commands.run(seat.provider_ref, "stop", before=hurry)
        except NotFound:
            return
        finally:
            self._forget(seat.provider_ref)

    async def status(self, seat: Seat) -> GatewayStatus:
        """How it is now; ready means that it proved who it is, with its token."""
        status = await self._seen(seat)
        self._health.note(seat, status)
        return status

    async def _seen(self, seat: Seat) -> GatewayStatus:
        memory = self._remembered(seat)
        try:
            client = await self._client(seat)
            identity = await client.bridge("identity", timeout_seconds=IDENTITY_SECONDS)
            said, started_at = identity.get("instanceId"), running.number(identity.get("startedAt"))
            was_ready = memory.answered is not None and memory.answered.started_at == started_at
            ready = was_ready or await client.is_ready()
        except Denied:
            self._tokens.pop(seat.instance_id, None)
            return await self._inspected(seat, memory)
        except PortError:
            return await self._inspected(seat, memory)
        stopping = identity.get("stopping") is True or (started_at is not None and started_at == memory.replaced)
        status = GatewayStatus(
            running=True, ready=ready and said == seat.instance_id and not stopping, stopping=stopping,
            instance_id=said if isinstance(said, str) else None, started_at=started_at, restarts=memory.inspected.restarts,
            outdated=await self._is_outdated(seat, client, memory, started_at),
            takes_credentials=identity.get("takesCredentials") is True,
            claimed=not identity["closed"] if isinstance(identity.get("closed"), bool) else None,
        )  # fmt: skip
        if status.ready:
            memory.answered = status
        return status

    async def warm_up(self, seat: Seat) -> None:
        """Have it answer one turn and forget it. There is no need to keep what it became ready with: that is what any start writes."""
        await running.warm_up(await self._client(seat))
        await self.keep_warm(seat)

    async def keep_warm(self, seat: Seat) -> None:
        """Touch what OpenClaw lets go of when nobody asks for it."""
        await running.keep_warm(await self._client(seat), seat.instance_id)

    async def mint_bootstrap(self, seat: Seat, names: Names | None = None) -> BootstrapTicket:
        """A ticket that lets one browser in as the owner."""
        return await running.mint_bootstrap(await self._client(seat), names)

    async def sender_requests(self, seat: Seat) -> Sequence[SenderRequest]:
        """Who waits to be approved, the oldest first."""
        return await senders.sender_requests(await self._client(seat))

    async def settle_sender(self, seat: Seat, request_id: str, *, approve: bool) -> None:
        """Approve a sender, or drop the request. Raises `NotFound` for one that is gone."""
        await senders.settle_sender(await self._client(seat), request_id, approve=approve)

    async def usage(self, seat: Seat, days: int) -> Sequence[DayOfUse]:
        """What it used of its model, day by day."""
        return await usage(await self._client(seat), days)

    async def logs(self, seat: Seat, lines: int = 200) -> Sequence[str]:
        """The newest log lines; the machine itself blots out what its secrets file holds."""
        said = await self._commands.run(seat.provider_ref, "logs", lines=lines)
        return [redact(readable(line), ()) for line in said.stdout.splitlines()][-lines:]

    async def find_lines(self, seats: Sequence[Seat], pattern: str, since: float) -> Mapping[InstanceId, Sequence[str]] | None:
        """From CloudWatch, where containers log there; see the port."""
        return None if self._search is None else await self._search.lines(seats, pattern, since)

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

    async def _inspected(self, seat: Seat, memory: Remembered) -> GatewayStatus:
        """How a gateway is that does not answer. Raises `NotFound` where its machine is gone."""
        await self._fleet.find(seat.provider_ref)
        now = self._clock.monotonic()
        young = memory.started_at is not None and now - memory.started_at < GRACE_SECONDS
        if young or (memory.inspected_at is not None and now - memory.inspected_at < INSPECT_SECONDS):
            return GatewayStatus(running=True, ready=False) if young else memory.inspected
        memory.inspected_at = now
        try:
            said = (await self._commands.run(seat.provider_ref, "inspect")).fields()
        except NotFound:
            said = {}
        memory.inspected = _status(said, memory.answered)
        return memory.inspected

    async def _is_outdated(self, seat: Seat, client: GatewayClient, memory: Remembered, started_at: float | None) -> bool:
        """Whether its configuration names old addresses of the platform. One that was seen to be right stays so until it starts anew;
        one that is wrong may be mended by another process."""
        if started_at is not None and memory.up_to_date == started_at:
            return False
        existing, _ = await running.present_config(client)
        origins = {"gateway": {"controlUi": {"allowedOrigins": sorted(self._inside.origins_of(seat.instance_id))}}}
        if merge_patch(existing, origins) != existing:
            return True
        memory.up_to_date = started_at
        return False

    async def _client(self, seat: Seat) -> GatewayClient:
        address = seat.address or (await self._fleet.find(seat.provider_ref)).address
        if address is None:
            raise Unavailable(f"Machine {seat.provider_ref} has no address yet.")
        if seat.instance_id not in self._tokens:
            self._tokens[seat.instance_id] = (await self._vault.get(seat.instance_id))[Credential.GATEWAY_TOKEN]
        return GatewayClient(self._http, address, self._tokens[seat.instance_id])

    def _remembered(self, seat: Seat) -> Remembered:
        return self._memory.setdefault((seat.provider_ref, seat.instance_id), Remembered())

    def _forget(self, provider_ref: str) -> None:
        """Whatever was seen of gateways on this machine: another one follows, or none."""
        for key in [key for key in self._memory if key[0] == provider_ref]:
            del self._memory[key]


def _fingerprint(document: Credentials) -> str:
    return hashlib.sha256(json.dumps(dict(document), sort_keys=True).encode()).hexdigest()


def _status(said: dict[str, str], answered: GatewayStatus | None) -> GatewayStatus:
    """What `inspect` printed. A container that ran before the gateway last answered is the one that answered."""
    exit_code = REFUSED_EXIT_CODE if said.get("refused") == "1" else _count(said.get("exit"))
    started_at = running.number(said.get("started"))
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
    reason = redact(_decoded(said.get("problem", "")), ())[:600]
    if exit_code == REFUSED_EXIT_CODE:
        return f"OpenClaw refused to start with these settings. {reason or 'Its log says more.'} {WAY_OUT}"
    if said.get("oom") == "1":
        return "OpenClaw was killed because it used up its memory. It is started again."
    if exit_code:
        return f"OpenClaw ended with exit code {exit_code}. {reason}".strip()
    return reason or None


def _count(value: object) -> int | None:
    number = running.number(value)
    return int(number) if number is not None and math.isfinite(number) else None


def _brought(volume: EbsVolume, instance_id: InstanceId) -> dict[str, str]:
    """Whose mark may stand in a volume that was made from another instance's restore point."""
    before = volume.tags.get(Tag.RESTORED_FROM, instance_id)
    return {} if before == instance_id else {"from": before}
