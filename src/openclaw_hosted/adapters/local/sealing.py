"""Encrypts what a user just gave, until it is in the vault."""

from __future__ import annotations

from pathlib import Path

from openclaw_hosted.adapters.local.keys import vault_key
from openclaw_hosted.adapters.sealing import KeySealer


class LocalSealer(KeySealer):
    """With a key derived from DIR/vault.key."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(vault_key(data_dir))
