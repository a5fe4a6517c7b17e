"""Keys derived from one, and a sealer that works with such a key."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from openclaw_hosted.domain.errors import Denied

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"


def derive_key(key: bytes, purpose: str) -> bytes:
    """A key for one purpose, which tells nothing of those for others."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"openclaw-hosted {purpose}".encode()).derive(key)


class KeySealer:
    """`Sealer` with AES-256-GCM and a key derived from `key`; the context is authenticated with it."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(derive_key(key, "sealing"))

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
