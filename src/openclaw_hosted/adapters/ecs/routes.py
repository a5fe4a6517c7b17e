"""What a rule of the older system's load balancer says, before, while a user waits, and after."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

PAGE_BYTES: Final = 1024
"""As long as the load balancer's own answer may be."""
LOOK_AGAIN_SECONDS: Final = 10
KEPT: Final = ("Type", "TargetGroupArn", "ForwardConfig", "RedirectConfig", "FixedResponseConfig", "Order", "AuthenticateOidcConfig",
               "AuthenticateCognitoConfig")  # fmt: skip


def rule_actions(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its actions, as they can be given back."""
    return [{key: action[key] for key in KEPT if action.get(key) is not None} for action in rule.get("Actions", ())]


def leads_to(rule: Mapping[str, Any]) -> set[str]:
    """The target groups that it forwards to."""
    found: set[str] = set()
    for action in rule.get("Actions", ()):
        found |= {str(group["TargetGroupArn"]) for group in action.get("ForwardConfig", {}).get("TargetGroups", ())}
        if action.get("TargetGroupArn"):
            found.add(str(action["TargetGroupArn"]))
    return found


def held_actions(title: str, text: str) -> list[dict[str, Any]]:
    """A page that loads itself again until the user is served."""
    body = (
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="{LOOK_AGAIN_SECONDS}">'
        f"<title>{html.escape(title)}</title><h1>{html.escape(title)}</h1><p>{html.escape(text)}"
    )
    page = body.encode()[:PAGE_BYTES].decode(errors="ignore")
    answer = {"StatusCode": "503", "ContentType": "text/html", "MessageBody": page}
    return [{"Type": "fixed-response", "FixedResponseConfig": answer}]


def leading_actions(url: str) -> list[dict[str, Any]]:
    """To `url`, whatever was asked for below the old address. Not for good: a browser remembers that, and would not come back."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    where = {"Protocol": parts.scheme.upper(), "Host": parts.hostname or "", "Port": str(port), "Path": parts.path or "/"}
    return [{"Type": "redirect", "RedirectConfig": {**where, "Query": "#{query}", "StatusCode": "HTTP_302"}}]
