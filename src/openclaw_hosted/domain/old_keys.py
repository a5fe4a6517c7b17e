"""Where OpenClaw keeps keys in its state directory, and what of them has a place here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeGuard

from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.migration import OldSettings
from openclaw_hosted.domain.old_state import KEYS, read_settings

PROFILES: Final = re.compile(r"agents/[^/]+/agent/auth-profiles\.json")
OWN_DATABASES: Final = re.compile(r"(agents/[^/]+/agent|state)/[^/]+\.sqlite")
"""The databases in which OpenClaw keeps keys."""
KEY_TABLES: Final = {"auth_profile_store": "store_json", "auth_profile_stores": "store_json", "auth_profile_state": "state_json"}
"""Tables in which OpenClaw keeps keys, and the column of each that holds them as JSON."""
KEY_ROWS: Final = ("config_machine_state", "state_key", "value_json", "authProfiles.")
"""Of this table, only the rows whose key begins like this."""
PROVIDERS: Final = {str(each): next(name for name, of in KEYS.items() if of is each) for each in dict.fromkeys(KEYS.values())}
"""From a provider, as OpenClaw names it, to the variable with its key."""


def profile_variables(stores: Iterable[Mapping[str, Any]]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The keys in stores of profiles, by the name of their variable, and the profiles that hold none that can be brought."""
    keys: dict[str, str] = {}
    others = []
    for store in stores:
        for name, profile in object_of(store.get("profiles")).items():
            fields = object_of(profile)
            provider, key = fields.get("provider"), fields.get("key") or fields.get("token")
            if provider in PROVIDERS and is_value(key):
                keys.setdefault(PROVIDERS[provider], key)
            else:
                others.append(name)
    return keys, tuple(others)


def with_kept_keys(found: OldSettings, stores: Iterable[Mapping[str, Any]]) -> OldSettings:
    """What the older system gave its OpenClaw, and the model key that the state keeps, where the older system gave none."""
    kept, others = profile_variables(stores)
    ignored = (*found.ignored, *(f"The sign-in {name[:60]!r}" for name in others))
    if not kept or Credential.MODEL_API_KEY in found.credentials:
        return replace(found, ignored=(*ignored, *(f"{name} in the state" for name in kept if name not in found.ignored)))
    read = read_settings(kept, None, None)
    settings = replace(read.settings, channels=found.settings.channels)
    return OldSettings(settings, {**read.credentials, **found.credentials}, (*ignored, *read.ignored))


def is_value(value: Any) -> TypeGuard[str]:
    """Whether it is the text itself, and not the name of a variable that has it."""
    return isinstance(value, str) and not value.startswith("${")


def object_of(value: Any) -> dict[str, Any]:
    """The object that it is, or an empty one."""
    return value if isinstance(value, dict) else {}
