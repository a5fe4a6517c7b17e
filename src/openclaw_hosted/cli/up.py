"""`openclaw-hosted up`, `serve` and `down`: the platform on this computer, from nothing to an address, and back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openclaw_hosted.choices import MachineKind
from openclaw_hosted.cli.output import CommandError, Exit, say
from openclaw_hosted.datadir import Role

if TYPE_CHECKING:
    from openclaw_hosted.settings import Settings


class ServeRole(StrEnum):
    """Which parts of the control plane a process runs."""

    WEB = "web"
    CONTROLLER = "controller"
    ALL = "all"

    @property
    def roles(self) -> tuple[Role, ...]:
        """The parts one by one."""
        return (Role.WEB, Role.CONTROLLER) if self is ServeRole.ALL else (Role(self),)


DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is kept. [OPENCLAW_HOSTED_DATA_DIR]", show_default=False)
]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="Port of the web address; 8080 by default. [PORT]", show_default=False)
]
Host = Annotated[
    str | None,
    typer.Option("--host", help="Address to listen on; this computer only by default, 0.0.0.0 for all. [HOST]", show_default=False),
]
Spares = Annotated[
    int | None, typer.Option("--spares", min=0, help="How many spares to keep ready; 2 by default. [POOL_SPARE_COUNT]", show_default=False)
]
MachinesOption = Annotated[
    MachineKind | None,
    typer.Option("--machines", help="What machines are; by default containers if Docker answers. [MACHINES]", show_default=False),
]


def up(
    port: Port = None, host: Host = None, data_dir: DataDirOption = None, spares: Spares = None, machines: MachinesOption = None
) -> None:
    """Start the whole platform on this computer: OpenClaw, the edge and the web page. Ctrl-C stops the platform; instances keep running."""
    from openclaw_hosted.cli import running

    running.up(_settings(port, host, data_dir, spares, machines))


def serve(
    role: Annotated[ServeRole, typer.Option(help="Which parts to run in this process.")] = ServeRole.ALL,
    port: Port = None,
    host: Host = None,
    data_dir: DataDirOption = None,
    spares: Spares = None,
    machines: MachinesOption = None,
    replica: Annotated[int, typer.Option(min=1, max=9, help="Which of several controllers this is. More than one needs Postgres.")] = 1,
) -> None:
    """Run the control plane, or a part of it, under a process manager. It prints nothing but logs, on standard error."""
    from openclaw_hosted.cli import running

    settings = _settings(port, host, data_dir, spares, machines)
    _check_replica(settings, role, replica)
    running.serve(settings, role.roles, replica)


def down(data_dir: DataDirOption = None) -> None:
    """Stop everything that uses a data directory: the control plane, the edge and all gateways. Data is kept."""
    settings = _settings(data_dir=data_dir)
    if not settings.data_dir.is_dir():
        say(f"Nothing runs on {settings.data_dir}: there is no such directory.")
        return
    from openclaw_hosted.cli import running

    running.down(settings)


def _check_replica(settings: Settings, role: ServeRole, replica: int) -> None:
    if replica == 1:
        return
    if role is not ServeRole.CONTROLLER:
        raise CommandError("--replica is for --role controller: a data directory has one web page.", Exit.USAGE)
    if not settings.database_url.startswith("postgres"):
        raise CommandError("Several controllers need Postgres: set DATABASE_URL=postgresql://USER:PASSWORD@HOST/NAME.", Exit.USAGE)


def _settings(
    port: int | None = None,
    host: str | None = None,
    data_dir: Path | None = None,
    spares: int | None = None,
    machines: str | None = None,
) -> Settings:
    from openclaw_hosted.settings import load_settings

    given = {"PORT": port, "HOST": host, "OPENCLAW_HOSTED_DATA_DIR": data_dir, "POOL_SPARE_COUNT": spares, "MACHINES": machines}
    return load_settings(given)
