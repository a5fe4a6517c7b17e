"""The edge's companion: one small process with the lookup service, which outlives the control plane.

python -m openclaw_hosted.adapters.local.companion --data-dir DIR
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

from openclaw_hosted.adapters.local.lookup import EdgeState, LookupApp

STOP_SECONDS = 5


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(data_dir: Path) -> None:
    """Serve until SIGTERM."""
    state = EdgeState(data_dir / "edge" / "routes.sqlite")
    lookup = _server(LookupApp(state))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, lookup)
    await lookup.serve(sockets=[_unix_socket(data_dir / "run" / "lookup.sock")])
    state.close()


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


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True


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
