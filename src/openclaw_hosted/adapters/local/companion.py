"""The edge's companion: one small process with the lookup service, which outlives the control plane.

python -m openclaw_hosted.adapters.local.companion --data-dir DIR
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

from openclaw_hosted.adapters.local.lookup import EdgeState, Lookup
from openclaw_hosted.adapters.local.lookup_server import LookupProtocol


async def serve(data_dir: Path) -> None:
    """Serve until SIGTERM."""
    state, stopped = EdgeState(data_dir / "edge" / "routes.sqlite"), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await _serve_lookup(state, data_dir / "run" / "lookup.sock", stopped)
    state.close()


async def _serve_lookup(state: EdgeState, path: Path, stopped: asyncio.Event) -> None:
    connections: set[LookupProtocol] = set()
    answer = Lookup(state).answer
    server = await asyncio.get_running_loop().create_unix_server(lambda: LookupProtocol(answer, connections), sock=_unix_socket(path))
    await stopped.wait()
    server.close()
    for connection in list(connections):
        connection.close()


def _unix_socket(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


def main() -> None:
    """Parse arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(arguments.data_dir))


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
