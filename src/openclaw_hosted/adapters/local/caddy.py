"""Caddy's configuration: written once, the same for every instance, so that a new route never reloads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from openclaw_hosted.domain.naming import INSTANCE_ID_PATTERN

INSTANCE_URI: Final = rf"^/{INSTANCE_ID_PATTERN}([/?]|$)"
PLATFORM_COOKIES: Final = r"(^|;\s*)(__Host-)?ochs[^=;]*=[^;]*"
THIS_COMPUTER: Final = r"^(127\.|::1$|@|$)"
LOCAL_CLIENT: Final = "192.0.2.1"
"""What a gateway is told when the client is this computer: OpenClaw 2026.9 refuses a forwarded address that is also its trusted
proxy's, and treats other loopback addresses as its owner. This one is reserved for documentation (RFC 5737)."""
RETRY_SECONDS: Final = "2"

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="2"><title>One moment</title><style>
:root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;
background:light-dark(#f7f6f3,#16171a);color:light-dark(#1d1e21,#ececea)}main{max-width:30rem;padding:2rem}
h1{font-size:1.5rem;margin:0 0 .5rem}p{margin:0;color:light-dark(#5b5e66,#a3a6ad)}</style></head>
<body><main><h1>One moment</h1>
<p>This is starting again. The page looks by itself every two seconds; your data is safe.</p></main></body></html>
"""
PROBLEM: Final = json.dumps(
    {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The platform is starting again; retry in a moment.",
    }
)


def caddy_config(host: str, port: int, run_dir: Path) -> dict[str, Any]:
    """The whole configuration. `run_dir` holds the sockets of the web application, the lookup service and, for probes, the edge itself."""
    server = {
        "listen": [f"{host}:{port}", f"unix/{run_dir}/edge.sock|0600"],
        "automatic_https": {"disable": True},
        "routes": [
            {"match": [{"vars_regexp": {"{http.request.uri}": {"pattern": INSTANCE_URI}}}], "handle": [_instance(run_dir)]},
            {"handle": [_platform(run_dir)]},
        ],
        "errors": {"routes": [{"match": [{"path": ["/api/*"]}], "handle": [_static(PROBLEM, "application/problem+json")]},
                              {"handle": [_static(PAGE, "text/html; charset=utf-8")]}]},
    }  # fmt: skip
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {"http": {"servers": {"edge": server}}},
    }


def _instance(run_dir: Path) -> dict[str, Any]:
    """Ask the lookup service, then go to the gateway or to the platform."""
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"unix/{run_dir}/lookup.sock"}],
        "rewrite": {"method": "GET", "uri": "/lookup"},
        "headers": {"request": {"set": {"X-Original-Uri": ["{http.request.orig_uri}"]}}},
        "handle_response": [
            {
                "match": {"status_code": [200]},
                "routes": [
                    {"handle": [{"handler": "vars", "upstream": "{http.reverse_proxy.header.X-Upstream}"}]},
                    {"handle": [{"handler": "vars", "client": "{http.request.remote.host}"}]},
                    {
                        "match": [{"vars_regexp": {"{http.request.remote.host}": {"pattern": THIS_COMPUTER}}}],
                        "handle": [{"handler": "vars", "client": LOCAL_CLIENT}],
                    },
                    {"handle": [_gateway()]},
                ],
            },
            {"match": {"status_code": [204]}, "routes": [{"handle": [_platform(run_dir)]}]},
        ],
    }


def _gateway() -> dict[str, Any]:
    """To the gateway, path unchanged, without the platform's cookies."""
    request = {
        "set": {"X-Forwarded-For": ["{http.vars.client}"]},
        "replace": {"Cookie": [{"search_regexp": PLATFORM_COOKIES, "replace": ""}]},
    }
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": "{http.vars.upstream}"}],
        "flush_interval": -1,
        "headers": {"request": request},
    }


def _platform(run_dir: Path) -> dict[str, Any]:
    return {"handler": "reverse_proxy", "upstreams": [{"dial": f"unix/{run_dir}/web.sock"}], "flush_interval": -1}


def _static(body: str, content_type: str) -> dict[str, Any]:
    headers = {"Content-Type": [content_type], "Retry-After": [RETRY_SECONDS], "Cache-Control": ["no-store"]}
    return {"handler": "static_response", "status_code": 503, "headers": headers, "body": body}
