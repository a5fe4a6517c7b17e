"""A stand-in for Telegram's Bot API, for gateways under test: users write to a bot, and see what it answers."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

BOT = {"id": 4242, "is_bot": True, "first_name": "Okapi", "username": "okapi_bot"}
LONGEST_POLL_SECONDS = 2.0


class Telegram(ThreadingHTTPServer):
    """Bot API 9 as far as OpenClaw uses it; methods that only set things up answer true."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sent: list[tuple[int, str]] = []
        """Chat and text of each message that the bot sent."""
        self.updates: list[dict[str, Any]] = []

    @property
    def api_root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def write(self, user_id: int, first_name: str, text: str) -> None:
        """A user writes to the bot."""
        number = len(self.updates) + 1
        person = {"id": user_id, "is_bot": False, "first_name": first_name, "username": first_name.lower()}
        chat = {"id": user_id, "type": "private", "first_name": first_name}
        message = {"message_id": number, "date": int(time.time()), "from": person, "chat": chat, "text": text}
        self.updates.append({"update_id": number, "message": message})

    def said_to(self, user_id: int) -> str:
        """All that the bot sent to this user."""
        return "\n".join(text for chat, text in self.sent if chat == user_id)

    def answer(self, method: str, parameters: dict[str, Any]) -> Any:
        """The result of a call."""
        if method == "getMe":
            return BOT
        if method == "getUpdates":
            return self._wait_for_updates(int(parameters.get("offset") or 0), float(parameters.get("timeout") or 0))
        if method == "getWebhookInfo":
            return {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
        if method in ("sendMessage", "editMessageText"):
            chat = int(parameters["chat_id"])
            self.sent.append((chat, str(parameters.get("text", ""))))
            return {"message_id": 1000 + len(self.sent), "date": int(time.time()), "chat": {"id": chat, "type": "private"}, "from": BOT}
        return [] if method.startswith("getMy") else True

    def _wait_for_updates(self, offset: int, timeout_seconds: float) -> list[dict[str, Any]]:
        deadline = time.monotonic() + min(timeout_seconds, LONGEST_POLL_SECONDS)
        while True:
            found = [update for update in self.updates if update["update_id"] >= offset]
            if found or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


class _Handler(BaseHTTPRequestHandler):
    server: Telegram

    def log_message(self, *arguments: Any) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        is_json = "json" in (self.headers.get("content-type") or "")
        self._answer(json.loads(body or b"{}") if is_json else dict(parse_qsl(body.decode(errors="replace"))))

    def _answer(self, parameters: dict[str, Any]) -> None:
        address = urlsplit(self.path)
        result = self.server.answer(address.path.rpartition("/")[2], dict(parse_qsl(address.query)) | parameters)
        content = json.dumps({"ok": True, "result": result}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
