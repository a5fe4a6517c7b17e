"""The edge's companion: one small process with the lookup service and the echo model, which outlives the control plane.

python -m openclaw_hosted.adapters.local.companion --data-dir DIR --echo-port PORT
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import uvicorn

from openclaw_hosted.adapters.local.echo import echo_app
from openclaw_hosted.adapters.local.lookup import EdgeState, Lookup
from openclaw_hosted.adapters.local.lookup_server import LookupProtocol

STOP_SECONDS = 5
RETRY_SECONDS = 1.0


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(data_dir: Path, echo_port: int) -> None:
    """Serve both until SIGTERM."""
    state, echo, stopped = EdgeState(data_dir / "edge" / "routes.sqlite"), _server(echo_app), asyncio.Event()

    def stop() -> None:
        echo.should_exit = True
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(_serve_lookup(state, data_dir / "run" / "lookup.sock", stopped), _serve_echo(echo, echo_port))
    state.close()


async def _serve_lookup(state: EdgeState, path: Path, stopped: asyncio.Event) -> None:
    connections: set[LookupProtocol] = set()
    answer = Lookup(state).answer
    server = await asyncio.get_running_loop().create_unix_server(lambda: LookupProtocol(answer, connections), sock=_unix_socket(path))
    await stopped.wait()
    server.close()
    for connection in list(connections):
        connection.close()


async def _serve_echo(echo: uvicorn.Server, port: int) -> None:
    """Serve the echo model; where another program has its port, wait for it, and do without until then."""
    while not echo.should_exit:
        try:
            listener = _loopback_socket(port)
        except OSError:
            await asyncio.sleep(RETRY_SECONDS)
        else:
            await echo.serve(sockets=[listener])


def _server(app: Any) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return _Server(config)


def _unix_socket(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


def _loopback_socket(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def main() -> None:
    """Parse arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--echo-port", type=int, required=True)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(arguments.data_dir, arguments.echo_port))


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
