"""The emulated cloud, served over HTTP."""

from __future__ import annotations

import io
import time
from threading import Event, Thread
from typing import Any

from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from lab.cloud import lookups, services
from lab.cloud.account import Account, Clock
from lab.cloud.ecs import attend, end_all
from lab.cloud.events import interrupt, rebalance, tick
from lab.cloud.faults import Faults
from lab.cloud.fleet import look
from lab.cloud.inventory import inventory
from lab.cloud.latency import Delays, Latencies
from lab.cloud.metadata import metadata
from lab.cloud.operations import ACCOUNT, BODY, CUT, install
from lab.cloud.secret import read_secret
from lab.cloud.secrets import expire
from lab.cloud.topology import topology
from lab.plane.base import Balancer, Machines, Metadata

TICK_SECONDS = 0.2


class LabCloud(Account):
    """One emulated account and region at `endpoint_url`. Moto's state belongs to the process: making another one begins it anew for all.

    Make the balancers with `topology` and then set `balancers`; without them, targets are healthy as soon as a rule uses them.
    """

    def __init__(
        self,
        *,
        region: str = "us-west-2",
        host: str = "127.0.0.1",
        port: int = 0,
        machines: Machines | None = None,
        latencies: Latencies | None = None,
        delays: Delays | None = None,
        faults: Faults | None = None,
        clock: Clock = time.time,
    ) -> None:
        super().__init__(region=region, machines=machines, latencies=latencies, delays=delays, faults=faults, clock=clock)
        install(services.CLASSES)
        lookups.install()
        self.reset()
        self._application = Application(self)
        self._servers: list[tuple[Any, Thread]] = []
        self.port = self.listen(host, port)
        self._closing = Event()
        self._ticker = Thread(target=self._tick, daemon=True)
        self._ticker.start()
        self.endpoint_url = f"http://{host}:{self.port}"

    def listen(self, host: str, port: int) -> int:
        """Serve at one more address, such as that of the machines' network; returns the port."""
        server = make_server(host, port, self._application, threaded=True, request_handler=Handler)
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._servers.append((server, thread))
        thread.start()
        return int(server.server_port)

    def topology(self) -> tuple[Balancer, ...]:
        """The load balancers as they are now."""
        return topology(self)

    def metadata(self, instance_id: str) -> Metadata:
        """What the metadata address tells a machine. Raises `LookupError`."""
        return metadata(self, instance_id)

    def secret(self, instance_id: str, name: str) -> str:
        """A secret as a machine reads it itself; see `read_secret` for what it raises."""
        return read_secret(self.endpoint_url, self.metadata(instance_id), name)

    def inventory(self) -> dict[str, int]:
        """How many of each kind of thing there are."""
        return inventory(self)

    def interrupt(self, instance_id: str) -> None:
        """Give a Spot machine its two minutes' notice, and end it after that. Raises `LookupError`."""
        interrupt(self, instance_id)

    def rebalance(self, instance_id: str) -> None:
        """Recommend to move off a Spot machine. Raises `LookupError`."""
        rebalance(self, instance_id)

    def reset(self) -> None:
        """A clean account: all that moto and the lab know is forgotten. The data plane's machines are not ended."""
        with self.lock:
            self.forget()
            moto_api_backend.reset()

    def enforce(self, role_name: str | None) -> None:
        """Hold the account's own keys to a role's policies from now on, or to none."""
        self.access.enforced = role_name

    def tick(self) -> None:
        """Do what is due by the clock. Done several times a second anyway."""
        look(self)
        attend(self)
        tick(self)
        expire(self)

    def _tick(self) -> None:
        while not self._closing.wait(TICK_SECONDS):
            self.tick()

    def close(self) -> None:
        """Stop serving."""
        self._closing.set()
        self._ticker.join(10)
        end_all(self)
        for server, thread in self._servers:
            server.shutdown()
            server.server_close()
            thread.join(10)


class Application(DomainDispatcherApplication):  # type: ignore[misc]
    """Moto's, for one account; it looks through its own folders once for each host, and not for each request."""

    def __init__(self, account: Account) -> None:
        super().__init__(create_backend_app)
        self._account = account
        self._backends: dict[str | None, Any] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one request."""
        environ[ACCOUNT] = self._account
        return super().__call__(environ, start_response)

    def get_backend_for_host(self, host: str | None) -> Any:
        """Which service answers there."""
        if host not in self._backends:
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]


class Handler(MotoRequestHandler):  # type: ignore[misc]
    """Keeps connections open from call to call, logs nothing, and ends a connection whose answer is lost."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        environ[BODY] = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environ["wsgi.input"] = io.BytesIO(environ[BODY])
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            head.append((status, headers))

        body = b"".join(self.server.app(environ, start))
        if environ.get(CUT):
            self.close_connection = True
            return
        status, headers = head[0]
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for key, value in headers:
            if key.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""
