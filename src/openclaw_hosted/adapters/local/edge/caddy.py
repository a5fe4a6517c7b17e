"""Caddy's configuration: written once, the same for every instance, so that a new route never reloads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.parse import urlsplit

from openclaw_hosted.adapters.local.backup.strangers import ArchiveLimits
from openclaw_hosted.adapters.local.edge.tls import TRUST_PATHS, EdgeTls, connection_policies, tls_apps
from openclaw_hosted.bodies import ARCHIVES_PATH, BODY_LIMIT_BYTES
from openclaw_hosted.domain.cookies import session_cookies
from openclaw_hosted.domain.naming import INSTANCE_ID_PATTERN
from openclaw_hosted.request_ids import HEADER as REQUEST_ID

INSTANCE_URI: Final = rf"^/{INSTANCE_ID_PATTERN}([/?]|$)"
THIS_COMPUTER: Final = r"^(127\.|::1$|@|$)"
LOCAL_CLIENT: Final = "192.0.2.1"
"""What a gateway is told when the client is this computer: OpenClaw 2026.9 refuses a forwarded address that is also its trusted
proxy's, and treats other loopback addresses as its owner. This one is reserved for documentation (RFC 5737)."""
CLIENTS_CLAIMS: Final = ["Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip"]
"""Where a client may say that it comes from; Caddy itself replaces X-Forwarded-For, -Proto and -Host."""
GATEWAY_SAYS: Final = [
    "Accept-Ranges", "Age", "Allow", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
    "Content-Range", "Content-Security-Policy", "Content-Type", "Date", "Etag", "Expires", "Last-Modified", "Location",
    "Permissions-Policy", "Pragma", "Referrer-Policy", "Retry-After", "Vary", "X-Content-Type-Options", "X-Frame-Options",
]  # fmt: skip
"""All that a gateway may say to a browser: of the answer itself. Its tenant may have replaced it, and it shares the platform's origin, so
nothing passes that holds for the origin or for other pages on it: no cookie, worker's scope, opener policy, report, log-out or login of
any kind, nor what browsers may yet invent."""
STAYS_OPEN: Final = [{"header": {"Upgrade": ["*"]}}, {"header_regexp": {"Accept": {"pattern": "text/event-stream"}}}]
"""Requests whose connection may outlast the right to it; they pass through the relay, which ends it."""
BODY_BYTES: Final = 100_000_000
SOME_ADDRESS: Final = "(?i)^https?://.*$"
TOO_LONG: Final = r"^0*[1-9]\d{8,}$"
"""A Content-Length of `BODY_BYTES` or more."""
PLATFORM_BODY_BYTES: Final = BODY_LIMIT_BYTES + 1
"""A little more than the platform's own pages and API take, for them to say so."""
ARCHIVES: Final = {"path": [ARCHIVES_PATH], "method": ["POST"]}
"""What users import: it passes as it comes, since the platform takes it in piece by piece. A little more than it takes is let through."""
PACKED_PATHS: Final = ["/static/*", "/api/*"]
"""What the edge compresses, and whose answers hold nothing secret beside what a stranger may have chosen: pages are left out, as each holds
its session's token beside names that others give (BREACH), and so is all that gateways answer."""
PACKED_TYPES: Final = ["application/json*", "application/problem+json*", "text/css*", "text/javascript*", "image/svg+xml*"]
"""No stream among them: an event reaches its reader when it is sent."""
PACKED_FROM_BYTES: Final = 1024
LONGEST_SECONDS: Final = 1200
"""A request may take so long to come, and its answer to go. A WebSocket may take longer."""
IDLE_SECONDS: Final = 3
"""Less than the 5 s after which Uvicorn and Node.js close an idle connection."""
RETRY_SECONDS: Final = "2"

ASKED: Final = {
    "X-Original-Uri": "{http.request.orig_uri}",
    "Cookie": "{http.request.header.Cookie}",
    "X-Worker": "{http.request.header.Service-Worker}",
    "X-Upgrade": "{http.request.header.Upgrade}",
    "X-Origin": "{http.request.header.Origin}",
}
"""What forward-auth is told of a request."""

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="2"><title>$title</title><style>
:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:light-dark(#f6f5f1,#12191b);color:light-dark(#1c2426,#e8ecea);
font:100%/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Liberation Sans",sans-serif}
main{max-width:28rem;padding:2.25rem 1.5rem;box-sizing:border-box}
h1{font-size:1.5rem;line-height:1.15;letter-spacing:-.022em;margin:0 0 .75rem;text-wrap:balance}
p{margin:0;color:light-dark(#566063,#a2b0b1);text-wrap:pretty}
i{display:block;width:2.25rem;height:.25rem;border-radius:1rem;margin:0 0 1.5rem;background:light-dark(#0f6674,#6fcbd6)}
@media (prefers-reduced-motion:no-preference){i{animation:b 1.2s ease-in-out infinite alternate}@keyframes b{to{width:4.5rem}}}
</style></head><body><main><i></i><h1>$title</h1><p>$text</p></main></body></html>
"""
PLATFORM_AWAY: Final = Template(PAGE).substitute(
    title="The platform is restarting",
    text="Instances run on meanwhile, and nothing is lost. This page looks again every two seconds.",
)
GATEWAY_AWAY: Final = Template(PAGE).substitute(
    title="Your OpenClaw is starting again",
    text="It takes some ten seconds, and your data is safe. This page looks again every two seconds.",
)
PROBLEM: Final = json.dumps(
    {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The platform is restarting; try again in 2 seconds.",
    }
)
HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Face:
    """How users know the platform: by the addresses that they open, and by the cookies under which their session is taken."""

    address: str
    """The one that stands in links, and that gateways know."""
    others: tuple[str, ...]
    cookies: tuple[str, ...]

    @property
    def scheme(self) -> str:
        """Of the address."""
        return urlsplit(self.address).scheme

    @property
    def told(self) -> dict[str, str]:
        """What forward-auth is told of it, with each request."""
        return {"X-Addresses": " ".join((self.address, *self.others)), "X-Cookies": " ".join(self.cookies)}


def face_of(address: str, others: Sequence[str], mark: str) -> Face:
    """That of the platform with this mark."""
    return Face(address, tuple(others), session_cookies(mark, secure=address.startswith("https://")))


def caddy_config(host: str, port: int, run_dir: Path, face: Face, tls: EdgeTls | None = None) -> dict[str, Any]:
    """The whole configuration. `run_dir` holds the sockets of the web application, forward-auth and, for probes, the edge itself.
    With `tls` the edge speaks HTTPS, by itself."""
    open_to_all, inside = _listen(host, port), f"unix/{run_dir}/edge.sock|0600"
    config: dict[str, Any] = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN", "exclude": ["http.handlers.reverse_proxy"]}}},
    }
    if tls is None:
        return config | {"apps": _http({"edge": _server([open_to_all, inside], run_dir, face)})}
    servers = {
        "edge": _server([open_to_all], run_dir, face) | {"protocols": ["h1", "h2"], "tls_connection_policies": connection_policies(tls)},
        "inside": _server([inside], run_dir, face),
    }
    if tls.http_port:
        servers["redirect"] = _redirecting(_listen(host, tls.http_port), run_dir, face.address, trust=tls.internal)
    storage = {"module": "file_system", "root": str(tls.storage)}
    return config | {"storage": storage, "apps": _http(servers) | tls_apps(tls, port)}


def _http(servers: dict[str, Any]) -> dict[str, Any]:
    return {"http": {"grace_period": "2s", "servers": servers}}


def _redirecting(listen: str, run_dir: Path, address: str, *, trust: bool) -> dict[str, Any]:
    """Plain HTTP: everything goes to HTTPS, but for what a device needs in order to trust it."""
    to_https = {"handler": "static_response", "status_code": 308, "headers": {"Location": [address + "{http.request.uri}"]}}
    trusting = {"match": [{"path": list(TRUST_PATHS)}], "handle": [_platform(run_dir, "http")], "terminal": True}
    return _plain_server([listen]) | {"routes": [{"handle": [_nameless()]}, *([trusting] if trust else []), {"handle": [to_https]}]}


def _plain_server(listen: list[str]) -> dict[str, Any]:
    return {
        "listen": listen,
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "read_header_timeout": "10s",
        "read_timeout": f"{LONGEST_SECONDS}s",
        "write_timeout": f"{LONGEST_SECONDS}s",
        "max_header_bytes": 32 * 1024,
    }


def _server(listen: list[str], run_dir: Path, face: Face) -> dict[str, Any]:
    return _plain_server(listen) | {
        "routes": [
            {"handle": [_nameless()]},
            {"match": [ARCHIVES], "handle": [_archives(run_dir, face.scheme)], "terminal": True},
            {"handle": [{"handler": "request_body", "max_size": BODY_BYTES}]},
            {"match": [{"header_regexp": {"Content-Length": {"pattern": TOO_LONG}}}], "handle": [{"handler": "error", "status_code": 413}]},
            {"match": [{"vars_regexp": {"{http.request.uri}": {"pattern": INSTANCE_URI}}}], "handle": [_instance(run_dir, face)]},
            {"handle": [_platform(run_dir, face.scheme)]},
        ],
        "errors": {"routes": _error_routes()},
    }


def _listen(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _instance(run_dir: Path, face: Face) -> dict[str, Any]:
    """Ask forward-auth, waiting for it if it is just being started again; then go to the gateway or to the platform."""
    this_computer = {"vars_regexp": {"{http.request.remote.host}": {"pattern": THIS_COMPUTER}}}
    confined = {"vars_regexp": {"{http.reverse_proxy.header.X-Confine}": {"pattern": "."}}}
    to_gateway = {
        "upstream": "{http.reverse_proxy.header.X-Upstream}",
        "instance": "{http.reverse_proxy.header.X-Instance}",
        "session": "{http.reverse_proxy.header.X-Session}",
        "client": "{http.request.remote.host}",
        "leg": "gateway",
    }
    return _proxy(
        f"unix/{run_dir}/lookup.sock",
        {"set": {name: [value] for name, value in (ASKED | face.told).items()}, "delete": ["*"]},
        rewrite={"method": "GET", "uri": "/lookup"},
        load_balancing={"try_duration": "5s", "try_interval": "50ms"},
        handle_response=[
            {
                "match": {"status_code": [200]},
                "routes": [
                    {"handle": [{"handler": "vars", **to_gateway}]},
                    {"match": [this_computer], "handle": [{"handler": "vars", "client": LOCAL_CLIENT}]},
                    {"match": [confined], "handle": [_sandboxed()]},
                    {"match": STAYS_OPEN, "handle": [_relayed(run_dir, face)]},
                    {"handle": [_gateway("{http.vars.upstream}", face)]},
                ],
            },
            {"match": {"status_code": [204]}, "routes": [{"handle": [_platform(run_dir, face.scheme)]}]},
        ],
    )


def _relayed(run_dir: Path, face: Face) -> dict[str, Any]:
    """To the gateway through the relay, a connection for each request."""
    handler = _gateway(f"unix/{run_dir}/relay.sock", face)
    told = {"X-Relay-To": "upstream", "X-Relay-Instance": "instance", "X-Relay-Session": "session"}
    handler["headers"]["request"]["set"] |= {name: [f"{{http.vars.{variable}}}"] for name, variable in told.items()}
    handler["transport"]["keep_alive"] = {"enabled": False}
    return handler


def _gateway(dial: str, face: Face) -> dict[str, Any]:
    """To the gateway, path unchanged, without cookies: OpenClaw's page has none. Back from it comes what `GATEWAY_SAYS` lists.

    Forward-auth has found the page's origin to be one of the platform's; the gateway is told the one that it knows.
    """
    request = {
        "set": {"X-Forwarded-For": ["{http.vars.client}"], "X-Forwarded-Proto": [face.scheme]},
        "replace": {"Origin": [{"search_regexp": SOME_ADDRESS, "replace": face.address}]},
        "delete": [*CLIENTS_CLAIMS, "Cookie"],
    }
    listed = [{"handler": "copy_response_headers", "include": GATEWAY_SAYS}, _for_this_origin(), {"handler": "copy_response"}]
    answers = {"match": {"status_code": [2, 3, 4, 5]}, "routes": [{"handle": listed}]}
    return _proxy(dial, request, {"delete": ["*"]}, handle_response=[answers])


def _platform(run_dir: Path, scheme: str) -> dict[str, Any]:
    """To the platform, once the whole body is here: however many slow ones there are, they wait at the edge."""
    bounds = {"handler": "request_body", "max_size": PLATFORM_BODY_BYTES}
    proxy = _web(run_dir, scheme, request_buffers=PLATFORM_BODY_BYTES)
    routes = [{"handle": [clients_id()]}, {"match": [{"path": PACKED_PATHS}], "handle": [_packed()]}, {"handle": [bounds, proxy]}]
    return {"handler": "subroute", "routes": routes}


def _archives(run_dir: Path, scheme: str) -> dict[str, Any]:
    """To the platform, piece by piece."""
    bounds = {"handler": "request_body", "max_size": ArchiveLimits().packed_bytes + 1}
    return {"handler": "subroute", "routes": [{"handle": [clients_id(), bounds, _web(run_dir, scheme)]}]}


def _web(run_dir: Path, scheme: str, **more: Any) -> dict[str, Any]:
    request = {"set": {"X-Forwarded-Proto": [scheme]}, "delete": CLIENTS_CLAIMS}
    return _proxy(f"unix/{run_dir}/web.sock", request, **more)


def clients_id() -> dict[str, Any]:
    """Takes away the id that a client gives its request: the log's ids are the platform's, or a trusted proxy's."""
    return {"handler": "headers", "request": {"delete": [REQUEST_ID]}}


def _packed() -> dict[str, Any]:
    return {
        "handler": "encode",
        "encodings": {"zstd": {}, "gzip": {}},
        "prefer": ["zstd", "gzip"],
        "minimum_length": PACKED_FROM_BYTES,
        "match": {"headers": {"Content-Type": PACKED_TYPES}},
    }


def _proxy(dial: str, request_headers: dict[str, Any], response_headers: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": dial}],
        "transport": {"protocol": "http", "keep_alive": {"idle_timeout": f"{IDLE_SECONDS}s"}},
        "headers": {"request": request_headers, "response": response_headers or {}},
        **more,
    }


def _error_routes() -> list[dict[str, Any]]:
    """What is shown where nothing answers; other errors are told plainly."""
    away = {"vars": {"{http.error.status_code}": ["502", "503", "504"]}}
    plain = {
        "handler": "static_response",
        "status_code": "{http.error.status_code}",
        "headers": {"Content-Type": ["text/plain; charset=utf-8"]},
        "body": "{http.error.status_text}\n",
    }
    return [
        {"handle": [_nameless()]},
        {"match": [{"not": [away]}], "handle": [plain]},
        {"match": [{"vars": {"leg": ["gateway"]}}], "handle": [_away(GATEWAY_AWAY, HTML)]},
        {"match": [{"path": ["/api/*"]}], "handle": [_away(PROBLEM, "application/problem+json")]},
        {"handle": [_away(PLATFORM_AWAY, HTML)]},
    ]


def _away(body: str, content_type: str) -> dict[str, Any]:
    headers = {
        "Content-Type": [content_type],
        "Content-Security-Policy": ["default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"],
        "X-Content-Type-Options": ["nosniff"],
        "Cache-Control": ["no-store"],
        "Retry-After": [RETRY_SECONDS],
    }
    return {"handler": "static_response", "status_code": 503, "headers": headers, "body": body}


def _sandboxed() -> dict[str, Any]:
    """A file that opens in a tab of its own gets an origin of its own: it shares none with the platform's pages."""
    headers = {"Content-Security-Policy": ["sandbox"], "X-Content-Type-Options": ["nosniff"]}
    return {"handler": "headers", "response": {"deferred": True, "add": headers}}


def _for_this_origin() -> dict[str, Any]:
    """Keeps other sites from embedding what only its owner may see."""
    return {"handler": "headers", "response": {"set": {"Cross-Origin-Resource-Policy": ["same-origin"]}}}


def _nameless() -> dict[str, Any]:
    """Takes away what names the software."""
    return {"handler": "headers", "response": {"deferred": True, "delete": ["Server", "Via"]}}
