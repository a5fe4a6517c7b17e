"""The API's description as a page: made of the OpenAPI document by the platform itself, so that it works offline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.rendering import render

router = APIRouter(include_in_schema=False)
METHODS: Final = ("get", "post", "patch", "delete")
NESTING: Final = 2
"""How many levels of a body's fields are listed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A parameter, or a field of a body."""

    name: str
    kind: str
    is_required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked."""

    method: str
    path: str
    text: str
    parameters: Sequence[Part]
    fields: Sequence[Part]
    status: str
    answer: Sequence[Part]

    @property
    def anchor(self) -> str:
        """Where it stands on the page."""
        return f"{self.method.lower()}{self.path.replace('/', '-').replace('{', '').replace('}', '')}"

    def example(self, address: str) -> str:
        """How it is asked with curl."""
        send = "" if self.method == "GET" else f" -X {self.method}"
        required = {field.name: field.kind for field in self.fields if field.is_required and "." not in field.name}
        body = f" \\\n  --json '{json.dumps(required)}'" if self.fields else ""
        return f'curl{send} -H "Authorization: Bearer $TOKEN"{body} \\\n  {address}/api/v1{self.path}'


@router.get("/api/docs")
async def reference_page(request: Request) -> Response:
    """What the API does, for people."""
    app: FastAPI = request.app
    address = web_of(request).options.addresses.public
    return render(request, "api_reference.html", groups=_groups(app), address=address)


@cache
def _groups(app: FastAPI) -> Mapping[str, Sequence[Operation]]:
    """All operations by the part of the platform that they belong to."""
    described = app.openapi()
    groups: dict[str, list[Operation]] = {}
    for path, item in described["paths"].items():
        for method in METHODS:
            if method in item:
                found = _operation(described, method, path.removeprefix("/api/v1"), item[method])
                groups.setdefault(item[method]["tags"][0], []).append(found)
    return groups


def _operation(described: Mapping[str, Any], method: str, path: str, item: Mapping[str, Any]) -> Operation:
    body = item.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    status = next(iter(item["responses"]))
    answer = item["responses"][status].get("content", {}).get("application/json", {}).get("schema")
    return Operation(
        method.upper(),
        path,
        item["description"],
        [
            Part(each["name"], _kind(each["schema"]), each.get("required", False), each.get("description", ""))
            for each in item.get("parameters", ())
        ],
        list(_fields(described, body)),
        status,
        list(_fields(described, answer)),
    )


def _fields(described: Mapping[str, Any], schema: Mapping[str, Any] | None, before: str = "") -> Iterator[Part]:
    found = _resolved(described, schema or {})
    for name, field in found.get("properties", {}).items():
        full = f"{before}{name}"
        yield Part(full, _kind(field), name in found.get("required", ()), field.get("description", ""))
        if full.count(".") + 1 < NESTING:
            within = field.get("items", field)
            ending = "[]." if "items" in field else "."
            yield from _fields(described, within, f"{full}{ending}")


def _resolved(described: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a schema refers to."""
    name = _referred(schema)
    return schema if name is None else described["components"]["schemas"][name]


def _referred(schema: Mapping[str, Any]) -> str | None:
    """The name of what it refers to, directly or as one of two with null."""
    for each in (schema, *schema.get("anyOf", ())):
        if "$ref" in each:
            return str(each["$ref"]).rpartition("/")[2]
    return None


def _kind(schema: Mapping[str, Any]) -> str:
    """Its type in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(each) for each in schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("format") or schema.get("type", "any"))
