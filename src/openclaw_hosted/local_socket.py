"""The socket through which commands on this computer reach a running platform.

Whoever can open it may do all that an admin may, and act as any user: as whoever can write the data directory. It asks for no password, so
the modes of its file and its directory are what keeps others out, and nothing that comes from a network is ever sent on to it.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

NAME: Final = "local.sock"
ACT_AS: Final = "x-act-as"
"""A header with the e-mail address of the user to act as, percent-encoded; without it, the first admin."""
NEEDS_ACCOUNT: Final = "x-needs-account"
"""A header of requests that make no sense before there is an account."""
CONNECT_SECONDS: Final = 5.0


def path_of(data_dir: Path) -> Path:
    """Where the socket of a data directory is."""
    return data_dir / "run" / NAME


def answers(data_dir: Path) -> bool:
    """Whether a platform listens on it. Raises `PermissionError` where the data directory belongs to somebody else."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(str(path_of(data_dir)))
        except PermissionError:
            raise
        except OSError:
            return False
    return True


def listening(path: Path) -> socket.socket:
    """A socket at `path`, bound and not listening yet: nobody can connect before its mode keeps all but the owner out."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.bind(str(path))
        path.chmod(0o600)
    except OSError:
        made.close()
        raise
    return made
