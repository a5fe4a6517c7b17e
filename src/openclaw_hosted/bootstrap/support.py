"""A support bundle: what somebody needs who helps an operator, in one file that can be handed on. Every credential is blotted out.

What is not known to be harmless is left out, or goes through `Redaction`: what the platform knows to be a secret, and what looks like one.
A part that can't be read is named in its place, and keeps no other from being written.
"""

from __future__ import annotations

import io
import json
import os
import platform as computer
import re
import tarfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from openclaw_hosted import OPENCLAW_VERSION, __version__
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.openclaw.logs import BLOT, redact, tail
from openclaw_hosted.bootstrap.doctor.local import examine
from openclaw_hosted.domain.errors import Conflict, FieldProblem, InvalidInput, OpenClawHostedError
from openclaw_hosted.settings import Provider, Settings
from openclaw_hosted.settings_operating import load_operating_settings
from openclaw_hosted.store.open import Store, open_store

SETTINGS: Final = "settings.json"
EVENTS: Final = 500
MACHINES: Final = 200
LOG_LINES: Final = 1000
SHORTEST: Final = 6
"""Shorter values are no secrets, and would blot out half of the text."""
NAMES: Final = r"(?i:[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|credential|cookie|authorization)[\w-]*)"
LOOKS: Final = re.compile(
    rf"(?P<before>{NAMES}"
    r"\\*[\"']?\s*[:=]\s*\\*[\"']?(?:Bearer |Basic )?)[^\s\"',;}\\]+"
    r"|-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?|\bochs_[\w-]{8,}|\bgh[pousr]_\w{20,}|(?<=bootstrapToken=)[\w-]+"
    r"|(?<=/setup/)[\w-]{16,}|(?<=/invite/)[\w-]{16,}|(?<=/reset/)[\w-]{16,}|(?<=/bot)\d+:[\w-]+"
    r"|\b[\w.+-]+(?=@[\w-]+\.[\w.-]+\b)",
    re.DOTALL,
)
"""Beside what `redact` knows: named values, keys in PEM, passwords in addresses, keys of AWS and GitHub, tokens, links, and whose an e-mail
address is."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was written."""

    path: str
    members: Sequence[str]


class Redaction:
    """Blots out what is known to be secret, and what looks like it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST}
        self._secrets = known | {json.dumps(secret)[1:-1] for secret in known}

    def __call__(self, text: str) -> str:
        """`text` without them. Its lines stay apart."""
        hidden = LOOKS.sub(lambda found: f"{found['before'] or ''}{BLOT}", text)
        return "\n".join(redact(line, self._secrets) for line in self._without(hidden).split("\n"))

    def in_values(self, value: object, *, names_tell: bool) -> object:
        """The same in each text of a structure. With `names_tell`, what is named like a credential is hidden whole."""
        if isinstance(value, Mapping):
            return {
                name: BLOT
                if names_tell and isinstance(each, str) and re.fullmatch(NAMES, str(name))
                else self.in_values(each, names_tell=names_tell)
                for name, each in value.items()
            }
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Sequence | frozenset):
            return [self.in_values(each, names_tell=names_tell) for each in value]
        return value

    def _without(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, BLOT)
        return text


async def write_bundle(settings: Settings, file: Path) -> Bundle:
    """Write a new file that only its owner can read. Raises `Conflict` where there is one, `InvalidInput` where none can be."""
    redaction = Redaction(await _secrets(settings))
    parts: dict[str, str] = {}
    for name, make in _parts(settings).items():
        try:
            made = await make()
        except OpenClawHostedError as error:
            made = {"could not be read": str(error)}
        except (OSError, ValueError) as error:
            made = {"could not be read": type(error).__name__}
        parts[name] = _json(redaction.in_values(made, names_tell=name != SETTINGS))
    for path in sorted((settings.data_dir / "logs").glob("*.log")):
        parts[f"logs/{path.name}"] = redaction("\n".join(tail(path, LOG_LINES)))
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(f"{file} exists already; choose another name.") from None
    except OSError as error:
        raise InvalidInput(FieldProblem("FILE", f"{file} can't be written: {error.strerror}. Choose another place.")) from None
    with os.fdopen(descriptor, "wb") as target, tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, text in parts.items():
            _add(archive, f"support/{name}", text)
    return Bundle(str(file), sorted(parts))


def _parts(settings: Settings) -> Mapping[str, Callable[[], Awaitable[object]]]:
    return {
        "version.json": _version,
        SETTINGS: lambda: _settings(settings),
        "doctor.json": lambda: _doctor(settings),
        "platform.json": lambda: _platform(settings),
        "events.json": lambda: _events(settings),
    }


async def _version() -> object:
    return {
        "openclaw_hosted": __version__, "openclaw": OPENCLAW_VERSION, "python": computer.python_version(), "system": computer.platform(),
        "made_at": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }  # fmt: skip


async def _settings(settings: Settings) -> object:
    shown = {**_shown(settings), **_shown(load_operating_settings())}
    if settings.provider is Provider.AWS:
        from openclaw_hosted.settings_aws import load_aws_settings

        shown |= _shown(load_aws_settings())
    return shown


def _shown(settings: BaseSettings) -> dict[str, Any]:
    """By variable, secrets as whether they are set."""
    shown = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown[field.alias or name] = "set" if isinstance(value, SecretStr) else None if value is None else str(value)
    return shown


async def _doctor(settings: Settings) -> object:
    return [asdict(finding) for finding in await examine(settings)]


async def _platform(settings: Settings) -> object:
    store = await open_store(settings.database_url, upgrade=False, create=False)
    try:
        return await _state(store)
    finally:
        await store.aclose()


async def _state(store: Store) -> dict[str, Any]:
    """What the rows say; of instances neither names nor owners."""
    instances = await store.instances.list_all()
    return {
        "schema": await store.platform.schema_version(),
        "pool": asdict(await store.platform.pool_memory()),
        "alarms": [asdict(state) for state in await store.alarms.list()],
        "machines": [asdict(machine) for machine in await store.machines.list_recent(MACHINES)],
        "orphans": [asdict(orphan) for orphan in await store.platform.orphans()],
        "instances": [
            {name: getattr(instance, name) for name in ("id", "phase", "desired", "machine_id", "generation", "attempts", "last_error")}
            for instance in instances[:MACHINES]
        ],
        "instances_in_all": len(instances),
    }


async def _events(settings: Settings) -> object:
    store = await open_store(settings.database_url, upgrade=False, create=False)
    try:
        found = await store.platform.events(limit=EVENTS)
    finally:
        await store.aclose()
    return [
        {"at": event.at, "name": event.name, "instance": event.instance_id, "machine": event.machine_id, "detail": dict(event.detail)}
        for event in found
    ]


async def _secrets(settings: Settings) -> set[str]:
    """What is known to be secret: values of settings, passwords in addresses, and on one computer what the vault holds."""
    found: set[str] = set()
    for each in (settings, load_operating_settings()):
        for name in type(each).model_fields:
            value = getattr(each, name)
            if isinstance(value, SecretStr):
                found |= _with_password(value.get_secret_value())
    if settings.provider is Provider.LOCAL and (settings.data_dir / "vault.key").exists():
        vault = LocalVault(settings.data_dir)
        for instance_id in await vault.list():
            try:
                found |= set((await vault.get(instance_id)).values())
            except OpenClawHostedError:
                continue
    return found


def _with_password(value: str) -> set[str]:
    """A secret, and the password in it, as it is written and as it is meant."""
    try:
        password = urlsplit(value).password or ""
    except ValueError:
        password = ""
    return {value, password, unquote(password)}


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode(errors="replace")
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), int(time.time()), 0o600
    archive.addfile(member, io.BytesIO(content))


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str, ensure_ascii=False)
