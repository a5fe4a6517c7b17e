"""Images by their id at once: moto compares every image that it knows with a filter, for each machine that it launches."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.amis import AmiBackend

_describe_images = AmiBackend.describe_images


def install() -> None:
    """Have one image that is asked for by its id looked up."""
    AmiBackend.describe_images = describe_images


def describe_images(backend: Any, *args: Any, **asked: Any) -> Any:
    """As moto's own, which answers everything but a lookup by id alone."""
    filters = asked.get("filters")
    if not args and list(asked) == ["filters"] and list(filters or ()) == ["image-id"] and isinstance(filters["image-id"], str):
        image = backend.amis.get(filters["image-id"])
        return [image] if image is not None else []
    return _describe_images(backend, *args, **asked)
