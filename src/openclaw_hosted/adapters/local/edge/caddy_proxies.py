"""The edge behind proxies that the operator names: who asks is told by them, and by nobody else.

The client is the last address in `X-Forwarded-For` that is not one of theirs; what stands before it may be the client's own invention.
The id of a request is the proxy's, if it gives one. Scheme and host stay those of the platform's own address and of the request: a
client's `X-Forwarded-Host` may pass through a proxy unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from openclaw_hosted.adapters.local.edge.caddy import clients_id

NEIGHBOUR: Final = "{http.request.remote.host}"
CLIENT: Final = "{http.vars.client_ip}"


def behind_proxies(config: dict[str, Any], networks: Sequence[str]) -> dict[str, Any]:
    """`config`, a whole configuration, with the client in place of the neighbour wherever it says who asks. Without networks it stays as
    it is: then the neighbour is the client."""
    if not networks:
        return config
    changed: dict[str, Any] = _with_clients(config)
    for server in changed["apps"]["http"]["servers"].values():
        server["trusted_proxies"] = {"source": "static", "ranges": list(networks)}
        server["trusted_proxies_strict"] = 1
        server["client_ip_headers"] = ["X-Forwarded-For"]
    for request in _proxied(changed):
        if "*" not in request.get("delete", ()):
            told = {"X-Forwarded-For": [CLIENT], "X-Forwarded-Host": ["{http.request.hostport}"]}
            request["set"] = {**told, **request.get("set", {})}
    for route in _routes_with(changed, clients_id()):
        route["match"] = [{"not": [{"remote_ip": {"ranges": list(networks)}}]}]
    return changed


def _with_clients(part: Any) -> Any:
    if isinstance(part, dict):
        return {_with_clients(name): _with_clients(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_with_clients(item) for item in part]
    return part.replace(NEIGHBOUR, CLIENT) if isinstance(part, str) else part


def _routes_with(part: Any, handler: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The routes that do nothing but this."""
    if isinstance(part, dict):
        if part.get("handle") == [handler]:
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from _routes_with(item, handler)


def _proxied(part: Any) -> Iterator[dict[str, Any]]:
    """What is done to the headers of requests that are passed on."""
    if isinstance(part, dict):
        if part.get("handler") == "reverse_proxy":
            yield part["headers"]["request"]
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from _proxied(item)
