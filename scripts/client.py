"""Writes the client's operations and models from the API's own description: `make client`.

A schema becomes a TypedDict, an operation that answers JSON a method. What answers anything else (`BY_HAND`) stands in client/client.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from openclaw_hosted.domain.origins import Addresses
from openclaw_hosted.web import WebOptions, create_app

ROOT: Final = Path(__file__).resolve().parent.parent
CLIENT: Final = ROOT / "src" / "openclaw_hosted" / "client"
BY_HAND: Final = frozenset({"follow_instance", "download_instance", "download_restore_point", "bring_archive"})
LEFT_OUT: Final = frozenset({"HTTPValidationError", "ValidationError", "ProblemOut", "ProblemField"})
"""Shapes of errors, which become `ApiError`."""
LINE: Final = 140
PREFIX: Final = "/api/v1"
PLAIN: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
WARNING: Final = "Written by `make client` from the API's own description; change that, and not this file."


def description() -> dict[str, Any]:
    """The API as it describes itself, on a platform without anything in it."""

    async def ready() -> dict[str, bool]:
        return {}

    services = cast("Any", SimpleNamespace(instances=SimpleNamespace(url=lambda name: f"http://localhost/{name}/")))
    options = WebOptions(
        Addresses("http://localhost"), secure_cookies=False, isolation_note=None, version="1", retention_days=7, readiness=ready
    )
    found: dict[str, Any] = create_app(services, options).openapi()
    return found


def operations(described: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Name, method, path and description of each."""
    for path, item in described["paths"].items():
        for method, operation in item.items():
            name = operation["operationId"].removesuffix(f"_{method}").removesuffix(re.sub(r"\W", "_", path))
            yield name, method.upper(), path.removeprefix(PREFIX), operation


def models(described: Mapping[str, Any]) -> str:
    """The module with the types of what goes in and out."""
    schemas = described["components"]["schemas"]
    head = [_doc(f"What the API takes and answers. {WARNING}"), "from __future__ import annotations"]
    head += ["from typing import Literal, NotRequired, TypedDict"]
    kinds = {name: schema for name, schema in schemas.items() if name not in LEFT_OUT}
    choices = "\n".join(f"{name} = {_type(schema)}" for name, schema in kinds.items() if "enum" in schema)
    return "\n\n".join([*head, choices, *(_model(name, schema) for name, schema in kinds.items() if "properties" in schema)])


def methods(described: Mapping[str, Any]) -> str:
    """The module with a method for each operation."""
    shown = [each for each in operations(described) if each[0] not in BY_HAND]
    named = sorted({name for *_, operation in shown for name in _named(operation)})
    body = "\n".join(_method(*each) for each in shown)
    head = [
        _doc(f"What can be asked of the API, one method an operation. {WARNING}"),
        "from __future__ import annotations",
        f"from typing import {'Literal, ' if 'Literal[' in body else ''}cast\nfrom urllib.parse import quote",
        f"from openclaw_hosted.client.models import {', '.join(named)}\nfrom openclaw_hosted.client.requests import Requests",
        f"class Operations(Requests):\n{_doc('The operations.', 4)}\n",
    ]
    return "\n\n".join(head) + "\n" + body


def formatted(source: str) -> str:
    """As `make format` leaves it."""
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(CLIENT / "models.py"), "-"]
    return subprocess.run(ruff, input=source, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def files() -> dict[Path, str]:
    """What each written file holds."""
    described = description()
    return {CLIENT / "models.py": formatted(models(described)), CLIENT / "operations.py": formatted(methods(described))}


def _model(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    lines = [f"class {name}(TypedDict):", _doc(schema.get("description", name), 4), ""]
    is_input = schema.get("additionalProperties") is False
    for field, about in schema["properties"].items():
        kind = _type(about)
        lines.append(f"    {field}: {kind if field in required or not is_input else f'NotRequired[{kind}]'}")
        if "description" in about:
            lines.append(_doc(about["description"], 4))
    return "\n".join(lines) + "\n"


def _method(name: str, method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = operation.get("parameters", ())
    places = [each["name"] for each in parameters if each["in"] == "path"]
    query = {each["name"]: each for each in parameters if each["in"] == "query"}
    headers = {each["name"].replace("-", "_"): each for each in parameters if each["in"] == "header"}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answer = _answer(operation)
    takes = ["self", *(f"{place}: str" for place in places), *([f"body: {_type(body)}"] if body else [])]
    named = [f"{each}: {_optional(about['schema'])} = None" for each, about in (query | headers).items()]
    signature = ", ".join(takes + (["*", *named] if named else []))
    sent = [f'"{method}"', _path(path, places)]
    sent += [f"query={{{', '.join(f'{each!r}: {each}' for each in query)}}}"] if query else []
    said = ", ".join(f"{about['name']!r}: {each}" for each, about in headers.items())
    sent += [f"headers={{{said}}}"] if headers else []
    sent += ["body=body"] if body else []
    call = f"self._call({', '.join(sent)})"
    does = f"        {call}\n" if answer is None else f'        return cast("{answer}", {call})\n'
    returns = answer or "None"
    return f"    def {name}({signature}) -> {returns}:\n{_doc(operation['description'], 8)}\n{does}"


def _named(operation: Mapping[str, Any]) -> set[str]:
    """The models that a method's signature names."""
    parts = [operation.get("parameters"), operation.get("requestBody"), _good(operation)]
    return set(re.findall(r"#/components/schemas/(\w+)", str(parts)))


def _good(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(about for status, about in operation["responses"].items() if status.startswith("2"))


def _answer(operation: Mapping[str, Any]) -> str | None:
    schema = _good(operation).get("content", {}).get("application/json", {}).get("schema")
    return _type(schema) if schema and "$ref" in schema else None


def _path(path: str, places: list[str]) -> str:
    for place in places:
        path = path.replace(f"{{{place}}}", f"{{quote({place}, safe='')}}")
    return f'f"{path}"' if places else f'"{path}"'


def _optional(schema: Mapping[str, Any]) -> str:
    kind = _type(schema)
    return kind if kind.endswith("None") else f"{kind} | None"


def _type(schema: Mapping[str, Any]) -> str:
    """A schema as Python writes it."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return f"Literal[{', '.join(map(repr, schema.get('enum', [schema.get('const')])))}]"
    if schema.get("type") == "array":
        return f"list[{_type(schema['items'])}]"
    if schema.get("type") == "object":
        return f"dict[str, {_type(schema['additionalProperties'])}]"
    return PLAIN[schema["type"]]


def _doc(described: str, indent: int = 0) -> str:
    """A docstring, its lines as long as the code's."""
    lines = textwrap.wrap(" ".join(described.split()).replace("\\", "\\\\"), LINE - indent - 6)
    return textwrap.indent('"""' + "\n".join(lines) + '"""', " " * indent)


if __name__ == "__main__":
    for path, source in files().items():
        path.write_text(source, encoding="utf-8")
