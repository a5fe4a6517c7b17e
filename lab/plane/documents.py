"""JSON documents: merge patches, and references into secrets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

Document = dict[str, Any]

SECRET_PROVIDER = "platform"


def merged(target: Any, patch: Any) -> Any:
    """`target` with `patch` applied, as RFC 7396 defines it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def pruned(document: Document, paths: Sequence[str], patch: Document) -> Document:
    """`document` without the entries below these dotted paths that refer to the platform's secrets and are not in `patch`."""
    for path in paths:
        names = path.split(".")
        entries, wanted = at(document, names), at(patch, names)
        if isinstance(entries, dict):
            kept = wanted if isinstance(wanted, dict) else {}
            dropped: Any = {name: None for name, entry in entries.items() if name not in kept and _refers_to_platform(entry)}
            for name in reversed(names):
                dropped = {name: dropped}
            document = merged(document, dropped)
    return document


def at(document: Any, names: Sequence[str]) -> Any:
    """What stands at this path; None where nothing does."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def resolved(reference: Any, secrets: Mapping[str, str]) -> str | None:
    """A value that is there as it is or by reference into the secrets file (`{"provider": "platform", "id": "/name"}`)."""
    if isinstance(reference, dict) and reference.get("provider") == SECRET_PROVIDER:
        return secrets.get(str(reference.get("id", "")).removeprefix("/"))
    return reference if isinstance(reference, str) else None


def fingerprint(document: Mapping[str, Any]) -> str:
    """A hash of its content."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _refers_to_platform(entry: Any) -> bool:
    """By itself or anywhere below."""
    if isinstance(entry, dict):
        return entry.get("provider") == SECRET_PROVIDER or any(_refers_to_platform(value) for value in entry.values())
    return isinstance(entry, list) and any(_refers_to_platform(value) for value in entry)
