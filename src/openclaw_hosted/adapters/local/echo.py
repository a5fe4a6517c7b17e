"""The built-in echo model: an OpenAI-compatible API that answers with what it was told, so that a first look needs no key."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from openclaw_hosted.adapters.local.asgi import Receive, Scope, Send, read_body

MODEL: Final = "echo"
_INTERNAL = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT"
_TIMESTAMP = re.compile(r"^\[\w{3} \d{4}-\d\d-\d\d [^\]]*\] ")
_WRAPPER = "Conversation info: "


async def echo_app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] != "http":
        return
    if scope["path"].endswith("/models"):
        await _answer(send, 200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "openclaw-hosted"}]})
    elif scope["path"].endswith("/chat/completions") and scope["method"] == "POST":
        await _complete(receive, send)
    else:
        await _answer(send, 404, {"error": {"message": "There is nothing here."}})


def reply_to(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the model says to a conversation."""
    return f"You said: {last_words(messages)}"


def last_words(messages: Sequence[Mapping[str, Any]]) -> str:
    """The user's last own words, without the context that OpenClaw 2026.9 wraps around them."""
    said = [_text(message) for message in messages if message.get("role") == "user"]
    own = [text for text in said if not text.startswith(_INTERNAL)]
    text = _TIMESTAMP.sub("", own[-1] if own else "").split("\n\nRuntime: ", 1)[0]
    if text.startswith(_WRAPPER):
        text = text.partition("```\n\n")[2]
    return text.strip()


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")


async def _complete(receive: Receive, send: Send) -> None:
    try:
        request = json.loads(await read_body(receive))
        text = reply_to(request["messages"])
    except (ValueError, KeyError, TypeError, AttributeError):
        await _answer(send, 400, {"error": {"message": "This is not a chat completion request."}})
        return
    about = {"id": "echo", "created": int(time.time()), "model": MODEL}
    if not request.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        await _answer(send, 200, {**about, "object": "chat.completion", "choices": [choice], "usage": usage})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for delta, reason in (({"role": "assistant", "content": text}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = json.dumps({**about, "object": "chat.completion.chunk", "choices": [choice]})
        await send({"type": "http.response.body", "body": f"data: {chunk}\n\n".encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def _answer(send: Send, status: int, body: Mapping[str, Any]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
