"""What a machine keeps of its gateway: which one it is, its credentials, and its configuration on the volume."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openclaw_hosted.adapters.local.files import read_foreign_json, read_json, write_atomically, write_json
from openclaw_hosted.adapters.local.machines import TERMINATE_MARK, machine_facts
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.adapters.local.runtimes import WAIT_FILE
from openclaw_hosted.domain.errors import Conflict, NotFound, Unavailable
from openclaw_hosted.domain.gateway import Credential, Credentials, GatewaySpec
from openclaw_hosted.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """Which gateway a machine has."""

    instance_id: str
    volume_id: str
    generation: int
    revision: int
    """Of settings and credentials, as in its files."""
    in_force: bool = True
    """False from before the files are changed until OpenClaw has taken the change."""
    written_for: str = ""
    """The addresses of the platform that its configuration names."""


class GatewayHome:
    """The machine's directory, as far as its gateway is concerned."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self.process = SupervisedProcess(directory, clock)
        if not directory.is_dir() or (directory / TERMINATE_MARK).exists():
            raise NotFound(f"Machine {directory.name} does not exist.")
        self.facts = machine_facts(directory)

    @property
    def log_path(self) -> Path:
        """What the gateway prints."""
        return self.directory / "gateway.log"

    @property
    def secrets_path(self) -> Path:
        """The file that OpenClaw reads credentials from."""
        return self.directory / "secrets" / "secrets.json"

    @property
    def address(self) -> str:
        """`host:port` of the gateway."""
        return self.facts.address or ""

    @property
    def port(self) -> int:
        """The gateway's port."""
        if self.facts.port is None:
            raise NotFound(f"Machine {self.directory.name} has no port.")
        return self.facts.port

    def record(self) -> GatewayRecord | None:
        """Which gateway it has; None before it has one."""
        body = read_json(self.directory / "gateway.json")
        return GatewayRecord(**body) if body else None

    def note(self, spec: GatewaySpec, *, in_force: bool, written_for: str) -> None:
        """Write down which gateway it has."""
        noted = GatewayRecord(spec.instance_id, spec.volume_id, spec.generation, spec.revision, in_force, written_for)
        if noted != self.record():
            write_json(self.directory / "gateway.json", asdict(noted))

    def secrets(self) -> Mapping[str, str]:
        """The credentials as OpenClaw has them."""
        return {name: str(value) for name, value in (read_json(self.secrets_path) or {}).items()}

    def token(self) -> str:
        """The gateway's token. Raises `Unavailable` where no gateway was started yet."""
        token = self.secrets().get(Credential.GATEWAY_TOKEN)
        if token is None:
            raise Unavailable(f"No gateway was started on machine {self.directory.name}.")
        return token

    def write_secrets(self, document: Credentials) -> bool:
        """Write the credentials; whether that changed anything."""
        wanted = {str(name): value for name, value in document.items()}
        if wanted == self.secrets():
            return False
        self.secrets_path.parent.mkdir(mode=0o700, exist_ok=True)
        write_json(self.secrets_path, wanted)
        return True

    def hold(self, order: str) -> None:
        """Have a program that can wait not begin, and say so with `order`."""
        write_atomically(self.directory / WAIT_FILE, order.encode())

    def waits(self) -> bool:
        """Whether a program that can wait does not begin."""
        return (self.directory / WAIT_FILE).exists()

    def held_at(self) -> float | None:
        """When it was last told to wait, in seconds since the epoch."""
        with suppress(FileNotFoundError):
            return (self.directory / WAIT_FILE).stat().st_mtime
        return None

    def order(self) -> str:
        """What it was told to wait with; empty where it does not wait."""
        with suppress(FileNotFoundError):
            return (self.directory / WAIT_FILE).read_text()
        return ""

    def begin(self) -> None:
        """Let it begin."""
        (self.directory / WAIT_FILE).unlink(missing_ok=True)

    def forget_secrets(self) -> None:
        """Take the credentials off the machine."""
        self.secrets_path.unlink(missing_ok=True)


def read_config(state_dir: Path) -> dict[str, Any]:
    """The configuration on a volume; empty where there is none, or none that is plain JSON."""
    return read_foreign_json(config_path(state_dir)) or {}


def write_config(state_dir: Path, config: dict[str, Any]) -> None:
    """Replace the configuration on a volume. Raises `Conflict` where a tenant put something in the way."""
    try:
        write_json(config_path(state_dir), config)
    except (IsADirectoryError, FileExistsError):
        raise Conflict("On this instance's volume, openclaw.json is a folder. Move it away, so that the settings can be written.") from None


def config_path(state_dir: Path) -> Path:
    """Where OpenClaw's configuration stands on a volume."""
    return state_dir / "openclaw.json"
