"""The key of this data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from openclaw_hosted.adapters.local.files import locked
from openclaw_hosted.adapters.sealing import KEY_BYTES
from openclaw_hosted.domain.errors import Denied


def vault_key(data_dir: Path) -> bytes:
    """The key in DIR/vault.key, made on first use.

    Raises `Denied` when it is missing though encrypted documents exist: a new one could not read them, and would hide the loss.
    """
    path = data_dir / "vault.key"
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(data_dir / ".vault.key.lock"):
        if path.exists():
            return _read(path)
        if any((data_dir / "vault").glob("*.json")):
            raise Denied(
                f"{path} is missing, and without it the credentials in {data_dir / 'vault'} can't be read. Restore it from a backup."
            )
        key = secrets.token_bytes(KEY_BYTES)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(descriptor)
        return key


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise Denied(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise Denied(f"{path} does not hold a key. Restore it from a backup.")
    return key
