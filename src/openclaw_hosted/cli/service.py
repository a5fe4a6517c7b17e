"""`openclaw-hosted install-service` and `uninstall-service`: the platform under systemd."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openclaw_hosted.cli.output import CommandError, Exit, out, say
from openclaw_hosted.logging import logging_to
from openclaw_hosted.systemd import (
    NAME,
    SYSTEM_DATA,
    SYSTEM_ENVIRONMENT,
    SYSTEM_UNITS,
    UNIT,
    Service,
    environment_text,
    hidden_from_others,
    left_out,
    user_environment,
    user_units,
    write_private,
)

if TYPE_CHECKING:
    from openclaw_hosted.settings import Settings

LOW_PORTS = 1024
ForUser = Annotated[bool, typer.Option("--user", help="For your user only, without root. Default: for the whole computer.")]
ServiceDataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help=f"Where everything is kept; {SYSTEM_DATA} for the whole computer.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of a service go, and how systemd is spoken to."""

    unit: Path
    environment: Path
    systemctl: tuple[str, ...]


@logging_to("warning", None)
def install_service(
    user: ForUser = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be written, and change nothing.")] = False,
    docker: Annotated[bool, typer.Option("--docker", help="Let the service's user control Docker, which amounts to root.")] = False,
    data_dir: ServiceDataDir = None,
) -> None:
    """Have systemd start the platform when the computer starts. Copies this shell's settings to an environment file, which you
    can edit later."""
    from openclaw_hosted.bootstrap import TAKEN_OVER
    from openclaw_hosted.settings import load_settings

    places = _places(for_user=user)
    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir or _default_data_dir(for_user=user)})
    service = _service(settings, places, for_user=user, docker=docker)
    left = left_out(os.environ, TAKEN_OVER, for_user=user)
    environment = environment_text(os.environ, [name for name in TAKEN_OVER if name not in left])
    if dry_run:
        out.print(f"# {places.unit}\n{service.unit}", markup=False, end="")
        out.print(f"\n# {places.environment} (mode 0600)", markup=False)
        out.print("\n".join(_without_values(line) for line in environment.splitlines()), markup=False)
        _say_what_is_left_out(left, places)
        return
    if not user:
        _make_system_user(settings.data_dir, places.environment)
    if not places.environment.exists():
        write_private(places.environment, environment, 0o600)
        _say_what_is_left_out(left, places)
    write_private(places.unit, service.unit, 0o644)
    say(f"Wrote {places.unit} and {places.environment}.")
    _start(places)
    _say_what_is_next(settings, places, for_user=user)


def uninstall_service(user: ForUser = False) -> None:
    """Stop the service and remove its unit. Data and settings stay, and gateways keep running until `down`."""
    places = _places(for_user=user)
    if not places.unit.exists():
        raise CommandError(f"There is no {places.unit}.", Exit.NOT_FOUND)
    if _systemd_runs():
        _run(*places.systemctl, "disable", "--now", UNIT)
    places.unit.unlink()
    if _systemd_runs():
        _run(*places.systemctl, "daemon-reload")
    say(f"Removed {places.unit}. Settings stay in {places.environment}; `openclaw-hosted down` stops what runs on.")


def _places(*, for_user: bool) -> Places:
    if for_user:
        return Places(user_units(os.environ) / UNIT, user_environment(os.environ), ("systemctl", "--user"))
    if os.geteuid() != 0:
        raise CommandError("A service for the whole computer needs root: use sudo, or --user for one of your own.", Exit.NOT_ALLOWED)
    return Places(SYSTEM_UNITS / UNIT, SYSTEM_ENVIRONMENT, ("systemctl",))


def _default_data_dir(*, for_user: bool) -> Path | None:
    return None if for_user or "OPENCLAW_HOSTED_DATA_DIR" in os.environ else SYSTEM_DATA


def _service(settings: Settings, places: Places, *, for_user: bool, docker: bool) -> Service:
    python = Path(sys.executable)
    if not for_user:
        for needed in (python, Path(__file__)):
            if hidden := hidden_from_others(needed):
                raise CommandError(f"The service's user can't read {needed}, because of {hidden}: install the program in /opt/{NAME}.")
    return Service(
        python=python,
        data_dir=settings.data_dir,
        environment=places.environment,
        user=None if for_user else NAME,
        docker=docker,
        writable=() if settings.backup_dir is None else (settings.backup_dir,),
        low_port=settings.port < LOW_PORTS,
    )


def _make_system_user(data_dir: Path, environment: Path) -> None:
    try:
        account = pwd.getpwnam(NAME)
    except KeyError:
        shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin") or "/bin/false"
        _run("useradd", "--system", "--user-group", "--home-dir", str(data_dir), "--shell", shell, NAME)
        account = pwd.getpwnam(NAME)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chown(data_dir, account.pw_uid, account.pw_gid)
    environment.parent.mkdir(parents=True, exist_ok=True, mode=0o755)


def _say_what_is_left_out(left: Mapping[str, str], places: Places) -> None:
    for name, reason in left.items():
        say(f"{name} is not copied: {reason}. Gateways take it over if you write it into {places.environment}.")


def _start(places: Places) -> None:
    if not _systemd_runs():
        say(f"systemd does not run here. Where it does: {' '.join(places.systemctl)} enable --now {NAME}")
        return
    _run(*places.systemctl, "daemon-reload")
    _run(*places.systemctl, "enable", "--now", UNIT)


def _say_what_is_next(settings: Settings, places: Places, *, for_user: bool) -> None:
    as_whom = "" if for_user else f"sudo -u {NAME} "
    say(f"Its log: journalctl {'--user ' if for_user else ''}-u {NAME} -f")
    say(f"The first account: {as_whom}{sys.executable} -m openclaw_hosted users create EMAIL --admin --data-dir {settings.data_dir}")
    if for_user:
        say(f"It ends when you log out. To keep it running: sudo loginctl enable-linger {pwd.getpwuid(os.geteuid()).pw_name}")
    say(f"Settings: change {places.environment}, then: {' '.join(places.systemctl)} restart {NAME}")


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir()


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CommandError(f"`{command[0]}` is missing on this computer.") from None
    except subprocess.CalledProcessError as error:
        raise CommandError(f"`{' '.join(command)}` failed: {error.stderr.strip()[-300:]}") from None


def _without_values(line: str) -> str:
    """Settings may be passwords, and a dry run is shown on a screen."""
    name, given, _ = line.partition("=")
    return f"{name}=…" if given and not line.startswith("#") else line
