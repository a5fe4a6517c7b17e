"""Gateways of this computer, each under the supervisor of its machine."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx

from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.adapters.local.ahead import load_ahead, stand_by, stands_by, stands_by_now
from openclaw_hosted.adapters.local.beneath import unlink_beneath
from openclaw_hosted.adapters.local.files import read_json, write_json
from openclaw_hosted.adapters.local.gateway_home import GatewayHome, GatewayRecord, config_path, read_config, write_config
from openclaw_hosted.adapters.local.processes.process import ProcessStatus
from openclaw_hosted.adapters.local.runtimes import Berth, Runtimes
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.adapters.openclaw import running, senders
from openclaw_hosted.adapters.openclaw.config import (
    Places,
    merge_patch,
    render_config,
    settings_patch,
)
from openclaw_hosted.adapters.openclaw.logs import failure_since, readable, redact, tail
from openclaw_hosted.adapters.openclaw.rpc import GatewayClient
from openclaw_hosted.adapters.openclaw.suspending import resume, suspend
from openclaw_hosted.adapters.openclaw.usage import usage
from openclaw_hosted.domain.errors import Conflict, NotFound, PortError, Unavailable
from openclaw_hosted.domain.gateway import Credential, CredentialsChange, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.domain.usage import DayOfUse
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import BootstrapTicket, GatewayStatus, Names, Seat, SenderRequest

IDENTITY_TIMEOUT_SECONDS: Final = 5.0
CONTAINER_NOT_STARTED: Final = 125
ARCHIVED_AT_MOST: Final = 100
KILLED: Final = (137, -9)
WAY_OUT: Final = "Change the settings, or restart it to go back to what it last ran with."


class LocalGateways:
    """Starts OpenClaw on the machines of `LocalMachines`. Any process may make this object: it adopts what runs."""

    def __init__(
        self,
        data_dir: Path,
        runtimes: Runtimes,
        vault: LocalVault,
        volumes: LocalVolumes,
        clock: Clock,
        *,
        public_origins: Sequence[str],
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._runtimes = runtimes
        self._vault = vault
        self._volumes = volumes
        self._clock = clock
        self._public_origins = tuple(public_origins)
        self._http = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=50))
        self._alone: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._seen_ready: dict[str, int | None] = {}

    async def aclose(self) -> None:
        """Close the connections; gateways run on."""
        await self._http.aclose()

    async def start(self, seat: Seat, spec: GatewaySpec) -> None:
        """Have the gateway of `spec` run; raises `Conflict` for a foreign volume, an older generation or a channel not shipped.

        Where OpenClaw refused its configuration before, it gets the one back that it last was ready with, and `spec` on top. OpenClaw
        may put an older one of its own in its place, so `apply` looks again.
        """
        running.check_shipped(spec)
        async with self._alone[seat.provider_ref]:
            home = self._home(seat)
            record = await asyncio.to_thread(home.record)
            _check_generation(record, spec)
            if _is_same(record, spec) and not home.waits() and home.process.status().state == "running":
                await asyncio.to_thread(self._adopt, home, record, spec)
                return
            await self._take_volume(home, record, spec)
            document = await self._vault.get_as(MachineId(seat.provider_ref), spec.instance_id)
            runtime = self._runtimes.of(home.facts.kind)
            await runtime.make_ready()
            refused = home.process.status().state == "refused"
            await asyncio.to_thread(self._write_files, home, spec, document, mend=refused)
            await asyncio.to_thread(home.begin)
            await home.process.ensure(await asyncio.to_thread(runtime.program, self._berth(home, spec)))
            if refused:
                await home.process.try_again()

    async def prepare(self, seat: Seat, spec: GatewaySpec) -> None:
        """End what serves another id, and have OpenClaw's modules loaded where a process can wait for its state; see the port."""
        async with self._alone[seat.provider_ref]:
            home = self._home(seat)
            record = await asyncio.to_thread(home.record)
            _check_generation(record, spec)
            if record is not None and not _is_same(record, spec):
                await self._end_other(home, record, spec)
            runtime = self._runtimes.of(home.facts.kind)
            if runtime.waits and not _is_same(record, spec):
                program = await asyncio.to_thread(runtime.program, self._berth(home, spec))
                await load_ahead(home, spec, program, self._clock, written_for=self._written_for(home))

    async def stand_by(self, seat: Seat) -> bool:
        """Have it end, and OpenClaw's modules loaded for its next start, where a process can wait for its state; see the port."""
        async with self._alone[seat.provider_ref]:
            home = self._home(seat)
            record, waits = await asyncio.to_thread(lambda: (home.record(), home.waits() and not stands_by(home)))
            if record is None or record.instance_id != seat.instance_id or waits or not self._runtimes.of(home.facts.kind).waits:
                return False
            if not await stand_by(home, seat.instance_id, self._clock):
                raise Unavailable("OpenClaw is not loaded yet.")
            return True

    async def apply(self, seat: Seat, spec: GatewaySpec, given: CredentialsChange | None = None) -> None:
        """Bring settings and credentials into force; see the port. Reads no more than files where nothing changed."""
        running.check_shipped(spec)
        async with self._alone[seat.provider_ref]:
            home = self._home(seat)
            record = await asyncio.to_thread(home.record)
            _check_generation(record, spec)
            if record is None or not _is_same(record, spec):
                raise Conflict(f"Machine {seat.provider_ref} does not serve {spec.instance_id}.")
            written_for = self._written_for(home)
            if record.in_force and (record.revision, record.written_for) == (spec.revision, written_for):
                await asyncio.to_thread(home.note, spec, in_force=True, written_for=written_for)
                return
            await self._bring_into_force(home, record, spec, given or CredentialsChange())

    async def restart(self, seat: Seat, *, at_once: bool = False) -> None:
        """Stop the gateway and start it again; `at_once`, it gets seconds instead of minutes to finish a turn. Does not wait."""
        home = self._home(seat)
        if await asyncio.to_thread(stands_by, home):
            await asyncio.to_thread(home.begin)
        else:
            await home.process.restart(at_once=at_once)

    async def revive(self, seat: Seat) -> None:
        """What ended, the machine's supervisor starts again; what stood by for too long begins. Raises `NotFound` for a lost machine."""
        home = self._home(seat)
        if await asyncio.to_thread(lambda: stands_by(home) and not stands_by_now(home, self._clock.now())):
            await asyncio.to_thread(home.begin)

    async def suspend(self, seat: Seat, *, finish: bool = False) -> bool:
        """Have it rest; returns whether it does."""
        return await suspend(self._client(self._home(seat)), seat, finish=finish)

    async def resume(self, seat: Seat) -> None:
        """Have it take work again."""
        await resume(self._client(self._home(seat)), seat)

    async def stop(self, seat: Seat, *, within_seconds: float | None = None) -> None:
        """Stop the gateway cleanly, or by force after a while. Does nothing where none runs."""
        with suppress(NotFound):
            await self._home(seat).process.halt(hurry_seconds=within_seconds)

    async def status(self, seat: Seat) -> GatewayStatus:
        """How it is now; ready means that it proved who it is, with its token, and is the process that runs here."""
        home = self._home(seat)
        record, process = await asyncio.to_thread(lambda: (home.record(), home.process.status()))
        instance_id = None
        if record is not None and process.child_pid is not None and not process.stopping:
            instance_id = await self._identity(home, process)
        ready = instance_id is not None and instance_id == (record and record.instance_id) and await self._is_ready(home, process)
        problem = None if ready else await asyncio.to_thread(_problem, home, process)
        return GatewayStatus(
            running=process.child_pid is not None,
            ready=ready,
            stopping=process.stopping,
            instance_id=instance_id,
            started_at=process.started_at,
            restarts=process.restarts,
            exit_code=process.exit_code,
            problem=problem,
            version=OPENCLAW_VERSION,
            outdated=record is not None and record.written_for != self._written_for(home),
            claimed=None if record is None else record.generation > 0,
            stands_by=not ready and await asyncio.to_thread(stands_by_now, home, self._clock.now()),
        )

    async def warm_up(self, seat: Seat) -> None:
        """Have it answer one turn from the echo model, and forget it, with what it archived of it."""
        home = self._home(seat)
        archived = await running.warm_up(self._client(home))
        record = await asyncio.to_thread(home.record)
        if record is not None:
            await asyncio.to_thread(self._unlink_archived, record, archived)
        await self.keep_warm(seat)

    async def keep_warm(self, seat: Seat) -> None:
        """Touch what OpenClaw lets go of when nobody asks for it."""
        home = self._home(seat)
        record = await asyncio.to_thread(home.record)
        if record is not None:
            await running.keep_warm(self._client(home), InstanceId(record.instance_id))

    async def mint_bootstrap(self, seat: Seat, names: Names | None = None) -> BootstrapTicket:
        """A ticket that lets one browser in as the owner."""
        return await running.mint_bootstrap(self._client(self._home(seat)), names)

    async def sender_requests(self, seat: Seat) -> Sequence[SenderRequest]:
        """Who waits to be approved, the oldest first."""
        return await senders.sender_requests(self._client(self._home(seat)))

    async def settle_sender(self, seat: Seat, request_id: str, *, approve: bool) -> None:
        """Approve a sender, or drop the request. Raises `NotFound` for one that is gone."""
        await senders.settle_sender(self._client(self._home(seat)), request_id, approve=approve)

    async def usage(self, seat: Seat, days: int) -> Sequence[DayOfUse]:
        """What it used of its model, day by day."""
        return await usage(self._client(self._home(seat)), days)

    async def logs(self, seat: Seat, lines: int = 200) -> Sequence[str]:
        """The newest log lines, oldest first, with credentials blotted out."""
        home = self._home(seat)
        return await asyncio.to_thread(lambda: [redact(readable(line), home.secrets().values()) for line in tail(home.log_path, lines)])

    async def find_lines(self, seats: Sequence[Seat], pattern: str, since: float) -> None:
        """Nothing: reading a log costs no more than a look at a file."""

    async def _take_volume(self, home: GatewayHome, record: GatewayRecord | None, spec: GatewaySpec) -> None:
        """Attach the volume of `spec`; a gateway that served another id before is stopped first."""
        await self._volumes.attach(spec.volume_id, MachineId(home.directory.name))
        await self._volumes.mark(spec.volume_id, spec.instance_id)
        if record is not None and not _is_same(record, spec):
            await self._end_other(home, record, spec)

    async def _end_other(self, home: GatewayHome, record: GatewayRecord, spec: GatewaySpec) -> None:
        await home.process.halt()
        await asyncio.to_thread(home.forget_secrets)
        if record.volume_id != spec.volume_id:
            await self._volumes.detach(VolumeId(record.volume_id), MachineId(home.directory.name))

    def _write_files(self, home: GatewayHome, spec: GatewaySpec, document: Mapping[Credential, str], *, mend: bool = False) -> None:
        state_dir = self._volumes.state_dir(spec.volume_id)
        self._write_secrets(home, document)
        existing = read_config(state_dir)
        based = read_json(self._volumes.proven_config(spec.volume_id)) or {} if mend else existing
        config = render_config(spec, self._places(home), based)
        if config != existing:
            write_config(state_dir, config)
        for path in (config_path(state_dir), state_dir, self._volumes.ensure_home(spec.volume_id)):
            self._runtimes.of(home.facts.kind).hand_over(path)
        home.note(spec, in_force=not mend, written_for=self._written_for(home))

    def _write_secrets(self, home: GatewayHome, document: Mapping[Credential, str]) -> None:
        home.write_secrets(document)
        for path in (home.secrets_path, home.secrets_path.parent):
            self._runtimes.of(home.facts.kind).hand_over(path)

    def _adopt(self, home: GatewayHome, record: GatewayRecord | None, spec: GatewaySpec) -> None:
        """Note the generation that the running gateway serves from now on; its settings are for `apply`."""
        if record is not None and record.generation != spec.generation:
            kept = GatewaySpec(spec.instance_id, spec.generation, spec.volume_id, spec.image, revision=record.revision)
            home.note(kept, in_force=record.in_force, written_for=record.written_for)

    async def _bring_into_force(self, home: GatewayHome, record: GatewayRecord, spec: GatewaySpec, given: CredentialsChange) -> None:
        document = given.apply_to(await self._vault.get_as(MachineId(home.directory.name), spec.instance_id))
        existing = await asyncio.to_thread(read_config, self._volumes.state_dir(spec.volume_id))
        patch = settings_patch(spec, self._places(home), existing)
        if home.process.status().child_pid is None:
            await asyncio.to_thread(self._write_files, home, spec, document)
            await home.process.restart()
            raise Unavailable("The gateway was not running; it is being started with the new settings.")
        client = self._client(home)
        known_token = home.token()
        pending = not record.in_force
        written_for = self._written_for(home)
        if pending or merge_patch(existing, patch) != existing or document != home.secrets():
            await asyncio.to_thread(home.note, spec, in_force=False, written_for=written_for)
            await asyncio.to_thread(self._write_secrets, home, document)
            await running.reload(client, existing, patch, home.secrets().values())
            if document.get(Credential.GATEWAY_TOKEN) != known_token:
                await home.process.restart()
            else:
                await running.check_in_force(client, spec)
        await asyncio.to_thread(home.note, spec, in_force=True, written_for=written_for)

    async def _identity(self, home: GatewayHome, process: ProcessStatus) -> str | None:
        """The id that answers at the machine's address, if it knows the token and is the process that was started here."""
        try:
            payload = await self._client(home).bridge("identity", timeout_seconds=IDENTITY_TIMEOUT_SECONDS)
        except PortError:
            return None
        if not await asyncio.to_thread(self._runtimes.of(home.facts.kind).is_its_own, payload.get("pid"), process):
            return None
        instance_id = payload.get("instanceId")
        return instance_id if isinstance(instance_id, str) else None

    async def _is_ready(self, home: GatewayHome, process: ProcessStatus) -> bool:
        """Whether all of it has started. Once it has, a channel in trouble does not count against it."""
        if self._seen_ready.get(home.directory.name) == process.child_pid:
            return True
        if not await self._client(home).is_ready():
            return False
        await asyncio.to_thread(self._keep_config, home)
        self._seen_ready[home.directory.name] = process.child_pid
        return True

    def _keep_config(self, home: GatewayHome) -> None:
        """Keep the configuration that OpenClaw became ready with. One that can't be read any more proves nothing."""
        record = home.record()
        if record is not None:
            volume_id = VolumeId(record.volume_id)
            if config := read_config(self._volumes.state_dir(volume_id)):
                write_json(self._volumes.proven_config(volume_id), config)

    def _unlink_archived(self, record: GatewayRecord, archived: Sequence[str]) -> None:
        """Its paths are what the gateway says."""
        state_dir = self._volumes.state_dir(VolumeId(record.volume_id)).resolve()
        for name in archived[:ARCHIVED_AT_MOST]:
            if Path(name).is_relative_to(state_dir):
                unlink_beneath(state_dir, str(Path(name).relative_to(state_dir)))

    def _home(self, seat: Seat) -> GatewayHome:
        name = seat.provider_ref
        if not name or "/" in name or name.startswith("."):
            raise NotFound("That is not the id of a machine.")
        return GatewayHome(self._data_dir / "machines" / name, self._clock)

    def _client(self, home: GatewayHome) -> GatewayClient:
        return GatewayClient(self._http, home.address, home.token())

    def _places(self, home: GatewayHome) -> Places:
        return replace(self._runtimes.of(home.facts.kind).places(home.directory, home.port), public_origins=self._public_origins)

    def _written_for(self, home: GatewayHome) -> str:
        """The addresses of the platform, and of models on this computer, that the gateway's configuration has to name."""
        places = self._places(home)
        return " ".join((*places.trusted_proxies, *places.public_origins, *sorted(map(str, places.local_models.models))))

    def _berth(self, home: GatewayHome, spec: GatewaySpec) -> Berth:
        state_dir, own_home = self._volumes.state_dir(spec.volume_id), self._volumes.home_dir(spec.volume_id)
        return Berth(home.directory, home.port, home.facts.image, spec.instance_id, state_dir, own_home)


def _is_same(record: GatewayRecord | None, spec: GatewaySpec) -> bool:
    return record is not None and (record.instance_id, record.volume_id) == (spec.instance_id, spec.volume_id)


def _check_generation(record: GatewayRecord | None, spec: GatewaySpec) -> None:
    if record is not None and record.generation > spec.generation:
        raise Conflict(f"The machine has seen generation {record.generation}, which is later than {spec.generation}.")


def _problem(home: GatewayHome, process: ProcessStatus) -> str | None:
    """What is wrong, in plain words, if that can be told."""
    started_at = process.started_at or 0.0
    lines = tail(home.log_path, 400)
    said = failure_since(lines, started_at)
    reason = redact(said, home.secrets().values())[:600] if said else None
    if process.state == "refused":
        return f"OpenClaw refused to start with these settings. {reason or 'Its log says more.'} {WAY_OUT}"
    if process.child_pid is not None:
        return reason
    if process.exit_code == CONTAINER_NOT_STARTED:
        return f"Docker did not start the machine's container: {(lines or ['no reason given'])[-1][:300]}"
    if process.exit_code in KILLED:
        return "OpenClaw was killed, most often because it used up its memory. It is started again."
    if process.exit_code is not None:
        return f"OpenClaw ended with exit code {process.exit_code}. {reason or ''}".strip()
    return None
