"""The edge's companion: one small process with forward-auth and the relay of open connections, which outlives the control plane.

python -m openclaw_hosted.adapters.local.edge.companion --data-dir DIR
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from openclaw_hosted.adapters.local.edge.forward_auth import EdgeState, ForwardAuth
from openclaw_hosted.adapters.local.edge.forward_auth_server import ForwardAuthProtocol
from openclaw_hosted.adapters.local.edge.relay import SWEEP_SECONDS, Relay
from openclaw_hosted.limits import raise_file_limit


async def serve(data_dir: Path) -> None:
    """Serve until SIGTERM."""
    state, stopped = EdgeState(data_dir / "edge" / "routes.sqlite"), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    lookup = ForwardAuth(state)
    relaying = asyncio.create_task(_relay(lookup, data_dir / "run" / "relay.sock", stopped))
    await _serve_lookup(lookup, data_dir / "run" / "lookup.sock", stopped)
    await relaying
    state.close()


async def _serve_lookup(lookup: ForwardAuth, path: Path, stopped: asyncio.Event) -> None:
    connections: set[ForwardAuthProtocol] = set()
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: ForwardAuthProtocol(lookup.answer, connections), sock=_unix_socket(path)
    )
    await stopped.wait()
    server.close()
    for connection in list(connections):
        connection.close()


async def _relay(lookup: ForwardAuth, path: Path, stopped: asyncio.Event) -> None:
    relay = Relay(lookup.is_good)
    server = await asyncio.get_running_loop().create_unix_server(relay.connection, sock=_unix_socket(path))
    while not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), SWEEP_SECONDS)
        relay.sweep()
    server.close()
    relay.end_all()


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
    raise_file_limit()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(arguments.data_dir))


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
