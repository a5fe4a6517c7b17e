"""The systemd unit of the platform, and its environment file, as texts."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "openclaw-hosted"
UNIT: Final = f"{NAME}.service"
SYSTEM_UNITS: Final = Path("/etc/systemd/system")
SYSTEM_ENVIRONMENT: Final = Path("/etc/openclaw-hosted/environment")
SYSTEM_DATA: Final = Path("/var/lib/openclaw-hosted")
LEFT_TO_OPTIONS: Final = "OPENCLAW_HOSTED_DATA_DIR"
_PLAIN: Final = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Service:
    """What is to run as a service, and as whom."""

    python: Path
    data_dir: Path
    environment: Path
    """A file of settings that its owner alone can read."""
    user: str | None = None
    """The system user; None for a unit of the user who runs it."""
    docker: bool = False
    """Whether the system user may talk to the Docker engine, which is as good as being root."""
    writable: Sequence[Path] = ()
    """Directories besides the data directory, such as that of backups."""
    low_port: bool = False
    """Whether it listens on a port below 1024."""

    @property
    def unit(self) -> str:
        """The unit file."""
        sections = (_unit(), _service(self), _SHARED_HARDENING, _system_hardening(self) if self.user else "", _install(self))
        return "\n".join(section.strip("\n") for section in sections if section) + "\n"


def _unit() -> str:
    return """
[Unit]
Description=OpenClaw Hosted: a machine with OpenClaw for every user
Wants=network-online.target
After=network-online.target docker.service
# However often it fails, it is started again.
StartLimitIntervalSec=0
"""


def _service(service: Service) -> str:
    who = f"User={service.user}\nGroup={service.user}\n" if service.user else ""
    groups = "SupplementaryGroups=docker\n" if service.docker and service.user else ""
    command = " ".join(map(_quoted, (str(service.python), "-m", "openclaw_hosted", "serve", "--data-dir", str(service.data_dir))))
    return f"""
[Service]
Type=exec
{who}{groups}ExecStart={command}
EnvironmentFile=-{_escaped(str(service.environment))}
Restart=always
RestartSec=2
TimeoutStopSec=60
# Gateways and the edge are children of this service with supervisors of their own, and outlive it: a restart or an upgrade of the
# control plane interrupts nobody, and the next one adopts them. So only the main process is told to stop. systemd then reports
# left-over processes at the next start; that is meant. `openclaw-hosted down` stops everything.
KillMode=process
# One OpenClaw that runs out of memory is started again by its supervisor, and is no reason to stop the others.
OOMPolicy=continue
TasksMax=infinity
LimitNOFILE=65536
UMask=0077
"""


_SHARED_HARDENING: Final = """
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
"""


def _system_hardening(service: Service) -> str:
    capability = "CAP_NET_BIND_SERVICE" if service.low_port else ""
    writable = " ".join(_quoted(str(path)) for path in (service.data_dir, *service.writable))
    return f"""
ProtectSystem=strict
ReadWritePaths={writable}
ProtectHome=read-only
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet={capability}
AmbientCapabilities={capability}
# Not PrivateTmp: its directory would go with each restart, under the gateways that run on.
# Not MemoryDenyWriteExecute: Node.js compiles while it runs.
"""


def _install(service: Service) -> str:
    return f"""
[Install]
WantedBy={"multi-user" if service.user else "default"}.target
"""


def environment_text(environment: Mapping[str, str], taken_over: Sequence[str]) -> str:
    """The settings of `environment` and what gateways take over from it, one a line, in the syntax of systemd; the data directory stands
    in the unit."""
    from openclaw_hosted.settings import Settings
    from openclaw_hosted.settings_operating import OperatingSettings

    fields = [*Settings.model_fields.values(), *OperatingSettings.model_fields.values()]
    known = [field.alias for field in fields if field.alias and field.alias != LEFT_TO_OPTIONS]
    lines = ["# Settings of OpenClaw Hosted. May hold passwords: keep it readable by its owner alone.", ""]
    for name in known:
        value = environment.get(name, "")
        lines.append(f"{name}={_value(value)}" if value else f"#{name}=")
    lines += ["", "# Of the network that this computer is in. Gateways get these as well, so every tenant can read them.", ""]
    lines += [f"{name}={_value(environment[name])}" for name in taken_over if name in environment]
    return "\n".join(lines) + "\n"


def left_out(environment: Mapping[str, str], taken_over: Sequence[str], *, for_user: bool) -> Mapping[str, str]:
    """Those of `taken_over` that are not copied, with the reason: every tenant can read what gateways take over."""
    found = {}
    for name in taken_over:
        value = environment.get(name, "")
        if "@" in value or "?" in value:
            found[name] = "it may hold a password or a token, and every tenant could read it"
        elif not for_user and Path(value).is_absolute() and (not Path(value).exists() or hidden_from_others(Path(value))):
            found[name] = f"the service's user can't read {value}"
    return found


def hidden_from_others(path: Path) -> Path | None:
    """The first directory or file on the way to `path` that users other than its owner can't pass or read."""
    for each in (*reversed(path.resolve().parents), path.resolve()):
        wanted = stat.S_IXOTH if each.is_dir() else stat.S_IROTH
        if not each.stat().st_mode & wanted:
            return each
    return None


def user_units(environment: Mapping[str, str]) -> Path:
    """Where a user's own units are."""
    return Path(environment.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / "systemd" / "user"


def user_environment(environment: Mapping[str, str]) -> Path:
    """Where a user's own settings of the service are."""
    return Path(environment.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / NAME / "environment"


def write_private(path: Path, text: str, mode: int) -> None:
    """Write a whole file with this mode, and the directories that lead to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    draft.replace(path)


def _escaped(text: str) -> str:
    """Without specifiers: a percent sign stands for itself."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """A word of a unit file."""
    escaped = _escaped(text).replace("$", "$$")
    return escaped if _PLAIN.fullmatch(text) else '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _value(text: str) -> str:
    """A value of an environment file."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`").replace("$", "\\$") + '"'
