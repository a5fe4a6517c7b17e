"""EC2's answers as XML, straight from the service's model: moto's serializer needs seconds for a few hundred machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from moto.core.utils import get_service_model

Renderer = Callable[[Any], str]


def render(operation: str, result: Mapping[str, Any]) -> str:
    """An answer of EC2, without members that are None. A structure is a mapping, or an object of moto's with names in snake case."""
    shape = get_service_model("ec2").operation_model(operation).output_shape
    body = _structure(shape)(result)
    return f'<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>lab</requestId>{body}</{operation}Response>'


_renderers: dict[str, Renderer] = {}


def _boolean(value: Any) -> str:
    return "true" if value else "false"


def _timestamp(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _text(value: Any) -> str:
    return escape(str(value))


SCALARS: Mapping[str, Renderer] = {"boolean": _boolean, "timestamp": _timestamp}


def _renderer(shape: Any) -> Renderer:
    """Of a shape; made once, and found by name while it is being made, because shapes contain themselves."""
    if shape.name not in _renderers:
        _renderers[shape.name] = _later(shape.name)
        if shape.type_name == "structure":
            _renderers[shape.name] = _structure(shape)
        elif shape.type_name == "list":
            _renderers[shape.name] = _list(shape)
        else:
            _renderers[shape.name] = SCALARS.get(shape.type_name, _text)
    return _renderers[shape.name]


def _later(name: str) -> Renderer:
    def render_later(value: Any) -> str:
        return _renderers[name](value)

    return render_later


def _structure(shape: Any) -> Renderer:
    members = [(name, _snake(name), member.serialization.get("name", name), _renderer(member)) for name, member in shape.members.items()]

    def structure(value: Any) -> str:
        parts = []
        for name, attribute, tag, renderer in members:
            member = value.get(name) if isinstance(value, Mapping) else getattr(value, attribute, None)
            if member is not None:
                parts.append(f"<{tag}>{renderer(member)}</{tag}>")
        return "".join(parts)

    return structure


def _list(shape: Any) -> Renderer:
    tag, renderer = shape.member.serialization.get("name", "item"), _renderer(shape.member)

    def items(value: Any) -> str:
        return "".join([f"<{tag}>{renderer(each)}</{tag}>" for each in value])

    return items


@cache
def _snake(name: str) -> str:
    from botocore import xform_name

    return str(xform_name(name))
