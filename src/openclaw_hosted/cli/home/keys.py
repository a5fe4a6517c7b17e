"""Finds the credentials of an OpenClaw at home: in variables, its configuration, key files, and tables of its databases."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from openclaw_hosted.domain.foreign import foreign_object
from openclaw_hosted.domain.gateway import Credential, ModelProvider
from openclaw_hosted.domain.migration import OldSettings
from openclaw_hosted.domain.old_keys import KEY_ROWS, KEY_TABLES, PROVIDERS, is_value, object_of, profile_variables
from openclaw_hosted.domain.old_state import KEYS, TOKENS, read_settings

CONFIGURATION: Final = "openclaw.json"
VARIABLES: Final = ".env"
PROFILES: Final = "agents/*/agent/auth-profiles.json"
SECRET: Final = re.compile(r"(?i)(key|token|secret|password|access|refresh)$")
"""What the name of a secret value ends with."""
SHORTEST: Final = 12
"""Shorter values are words that stand anywhere, and no keys."""
LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
BOT_TOKEN: Final = next(name for name, credential in TOKENS.items() if credential is Credential.TELEGRAM_BOT_TOKEN)


@dataclass
class HomeKeys:
    """What was found. Values are in memory only."""

    settings: OldSettings = field(default_factory=OldSettings)
    secrets: set[str] = field(default_factory=set, repr=False)
    """All values that look like secrets, known here or not: none of them may come along."""
    notes: list[str] = field(default_factory=list)


def find_keys(folder: Path) -> HomeKeys:
    """Look everywhere. Changes nothing."""
    found = HomeKeys()
    configuration = _document(folder / CONFIGURATION, found)
    stores = [_document(path, found) for path in sorted(folder.glob(PROFILES))]
    stores += [each for path in databases_of(folder) for each in _stored(path)]
    profiles, others = profile_variables(stores)
    found.notes += [f"The sign-in {name[:60]!r} can't be brought: sign in anew, or give the new instance a key." for name in others]
    variables = {**profiles, **_configured_variables(configuration), **_variables(folder / VARIABLES)}
    for document in (configuration, *stores):
        found.secrets |= set(_secrets(document))
    found.secrets |= {value for name, value in variables.items() if SECRET.search(name) and len(value) >= SHORTEST}
    provider, model = _chosen_model(configuration)
    found.settings = read_settings({name: value for name, value in variables.items() if name in KEYS or name in TOKENS}, provider, model)
    return found


def databases_of(folder: Path) -> Iterator[Path]:
    """Every SQLite database below a folder, through no link."""
    for path in sorted(folder.rglob("*.sqlite")):
        if path.is_file() and not path.is_symlink():
            yield path


def _document(path: Path, found: HomeKeys) -> dict[str, Any]:
    if not path.is_file():
        return {}
    document = foreign_object(path.read_bytes())
    if document is None:
        found.notes.append(f"{path.name} is not plain JSON, so its keys could not be read. They do not come along, nor does the file.")
    return document or {}


def _stored(path: Path) -> Iterator[dict[str, Any]]:
    """What the tables with keys of one database hold."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        queries = [(f'SELECT "{column}" FROM "{table}"', ()) for table, column in KEY_TABLES.items() if table in tables]  # noqa: S608
        table, key, value, beginning = KEY_ROWS
        if table in tables:
            queries.append((f'SELECT "{value}" FROM "{table}" WHERE "{key}" LIKE ?', (f"{beginning}%",)))  # type: ignore[arg-type] # noqa: S608
        for query, given in queries:
            for (text,) in connection.execute(query, given):
                yield foreign_object(str(text)) or {}
    finally:
        connection.close()


def _variables(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (LINE.match(line) for line in path.read_text(errors="replace").splitlines())
    return {line[1]: line[2].strip("'\"") for line in lines if line and line[2]}


def _configured_variables(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Those that the configuration sets, and the keys that stand elsewhere in it, by the name of their variable."""
    environment = configuration.get("env")
    found: dict[str, str] = {}
    for values in (environment, _below(environment, "vars")):
        found |= {name: value for name, value in object_of(values).items() if is_value(value)}
    for name, provider in object_of(_below(configuration, "models", "providers")).items():
        key = _below(provider, "apiKey")
        if is_value(key) and name in PROVIDERS:
            found[PROVIDERS[name]] = key
    token = _below(configuration, "channels", "telegram", "botToken")
    return found | ({BOT_TOKEN: token} if is_value(token) else {})


def _chosen_model(configuration: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Provider and model; neither where the provider is none of ours."""
    chosen = _below(configuration, "agents", "defaults", "model")
    text = chosen if isinstance(chosen, str) else _below(chosen, "primary")
    provider, slash, model = text.partition("/") if isinstance(text, str) else ("", "", "")
    return (provider, model) if slash and provider in PROVIDERS and provider in set(ModelProvider) else (None, None)


def _secrets(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _secrets(below, str(key))
    elif isinstance(value, list):
        for below in value:
            yield from _secrets(below, name)
    elif is_value(value) and len(value) >= SHORTEST and SECRET.search(name):
        yield value


def _below(value: Any, *names: str) -> Any:
    for name in names:
        value = object_of(value).get(name)
    return value
