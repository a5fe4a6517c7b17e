"""Encrypts what a user just gave, until it is in the vault."""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from openclaw_hosted.adapters.local.keys import NONCE_BYTES, derive_key, vault_key
from openclaw_hosted.domain.errors import Denied

VERSION = b"\x01"


class LocalSealer:
    """AES-256-GCM with a key derived from DIR/vault.key; the context is authenticated with it."""

    def __init__(self, data_dir: Path) -> None:
        self._cipher = AESGCM(derive_key(vault_key(data_dir), "sealing"))

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """`plaintext` encrypted and authenticated, bound to `context`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, plaintext, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """The plaintext. Raises `Denied` when it was altered, or sealed for another context or with another key."""
        nonce, encrypted = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != VERSION or len(nonce) < NONCE_BYTES:
            raise Denied("This is not something that the platform sealed.")
        try:
            return self._cipher.decrypt(nonce, encrypted, context.encode())
        except InvalidTag:
            raise Denied("The sealed text was altered, or sealed with another key.") from None
