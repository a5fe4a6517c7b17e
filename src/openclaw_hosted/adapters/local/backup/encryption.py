"""Encryption of a stream under a passphrase: scrypt for the key, AES-256-GCM for chunks of 1 MiB.

    magic (8) | log2 of scrypt's N (1) | salt (16) | nonce prefix (7) | chunks, each with its tag of 16 bytes

The nonce of a chunk is the prefix, the chunk's number (4 bytes) and 1 for the last chunk, else 0, so that chunks can be neither
exchanged nor cut off; the header is authenticated with each of them (the STREAM construction of Hoang, Reyhanitabar, Rogaway
and Vizár, 2015).
"""

from __future__ import annotations

import io
import secrets
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from openclaw_hosted.adapters.local.backup.errors import BackupUnreadable

MAGIC: Final = b"OCHBKUP1"
LOG_N: Final = 17
LOG_N_RANGE: Final = range(10, 21)
"""What is taken from a file: a larger number would have a stranger's file fill the memory."""
SALT_BYTES: Final = 16
PREFIX_BYTES: Final = 7
HEADER_BYTES: Final = len(MAGIC) + 1 + SALT_BYTES + PREFIX_BYTES
TAG_BYTES: Final = 16
CHUNK_BYTES: Final = 1 << 20


class EncryptingWriter(io.RawIOBase):
    """A file to write to; what arrives in `target` is encrypted. It is complete only after `close`."""

    def __init__(self, target: IO[bytes], passphrase: str, log_n: int = LOG_N) -> None:
        self._target = target
        self._header = MAGIC + bytes([log_n]) + secrets.token_bytes(SALT_BYTES + PREFIX_BYTES)
        self._chunks = _Chunks(self._header, passphrase)
        self._pending = bytearray()
        target.write(self._header)

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        """Take `data`; a full chunk waits until it is known whether another one follows."""
        given = bytes(data)  # type: ignore[call-overload]
        self._pending += given
        while len(self._pending) > CHUNK_BYTES:
            self._target.write(self._chunks.seal(bytes(self._pending[:CHUNK_BYTES]), last=False))
            del self._pending[:CHUNK_BYTES]
        return len(given)

    def close(self) -> None:
        """Write the last chunk; the target stays open."""
        if not self.closed:
            self._target.write(self._chunks.seal(bytes(self._pending), last=True))
        super().close()


class DecryptingReader(io.RawIOBase):
    """A file to read from; raises `BackupUnreadable` at the first chunk that is not as it was written."""

    def __init__(self, source: IO[bytes], passphrase: str) -> None:
        self._source = source
        header = source.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES or header[: len(MAGIC)] != MAGIC or header[len(MAGIC)] not in LOG_N_RANGE:
            raise BackupUnreadable("The file is not an encrypted backup of OpenClaw Hosted.")
        self._chunks = _Chunks(header, passphrase)
        self._next = source.read(CHUNK_BYTES + TAG_BYTES)
        self._open = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        """Fill the buffer with what comes next."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._open and self._next:
            current, self._next = self._next, self._source.read(CHUNK_BYTES + TAG_BYTES)
            self._open = self._chunks.unseal(current, last=not self._next)
        count = min(len(view), len(self._open))
        view[:count] = self._open[:count]
        self._open = self._open[count:]
        return count


class _Chunks:
    def __init__(self, header: bytes, passphrase: str) -> None:
        log_n, salt = header[len(MAGIC)], header[len(MAGIC) + 1 : -PREFIX_BYTES]
        key = Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(passphrase.encode())
        self._cipher = AESGCM(key)
        self._header = header
        self._number = 0

    def seal(self, chunk: bytes, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last=last), chunk, self._header)

    def unseal(self, chunk: bytes, *, last: bool) -> bytes:
        first = self._number == 0
        try:
            return self._cipher.decrypt(self._nonce(last=last), chunk, self._header)
        except InvalidTag:
            reason = "The passphrase is another one, or the backup was altered." if first else "The backup was altered or cut short."
            raise BackupUnreadable(reason) from None

    def _nonce(self, *, last: bool) -> bytes:
        nonce = self._header[-PREFIX_BYTES:] + self._number.to_bytes(4, "big") + bytes([last])
        self._number += 1
        return nonce
