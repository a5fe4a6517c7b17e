"""A model that says what it was told, for gateways under test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class EchoServer(ThreadingHTTPServer):
    """Remembers the keys that it was called with, and answers nobody while it is `silent`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: list[str] = []
        self.speaks = threading.Event()
        self.speaks.set()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It takes questions, and answers them afterwards."""
        self.speaks.clear()
        try:
            yield
        finally:
            self.speaks.set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: EchoServer

    def log_message(self, *arguments: Any) -> None:
        """Be quiet."""

    def do_POST(self) -> None:
        self.server.keys.append((self.headers.get("authorization") or "").removeprefix("Bearer "))
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.speaks.wait()
        said = next(text for text in map(_text, reversed(body["messages"])) if text)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta, reason in (({"role": "assistant", "content": f"You said: {said}"}, None), ({}, "stop")):
            chunk = {
                "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "echo",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }  # fmt: skip
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content or [])
    if message["role"] != "user" or text.startswith("<<<BEGIN_OPENCLAW_INTERNAL"):
        return ""
    return text.partition("\n\nRuntime: ")[0].rpartition("] ")[2]
