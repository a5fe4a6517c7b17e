"""Images and machines by their id at once: moto walks through all that it knows, several times for each machine that it launches."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import amis
from moto.ec2.models.amis import AmiBackend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from lab.cloud.refused import Refused

_load_resource = amis.load_resource
_describe_images = AmiBackend.describe_images


def install() -> None:
    """Have what is asked for by its id looked up."""
    amis.load_resource = load_resource
    AmiBackend.describe_images = describe_images
    InstanceBackend.get_instance_by_id = get_instance_by_id
    InstanceBackend.get_instance = get_instance
    TaggedEC2Resource.get_tags = get_tags


def load_resource(path: str) -> Any:
    """Moto's lists of images, but for the 1,200 that are made for ECS: half a second each time that an account is made anew."""
    return [] if "/ecs/" in path else _load_resource(path)


def describe_images(backend: Any, *args: Any, **asked: Any) -> Any:
    """As moto's own, which answers everything but a lookup by id alone."""
    filters = asked.get("filters") or {}
    if not args and list(asked) == ["filters"] and list(filters) == ["image-id"] and isinstance(filters["image-id"], str):
        image = backend.amis.get(filters["image-id"])
        return [image] if image is not None else []
    return _describe_images(backend, *args, **asked)


def get_instance_by_id(backend: Any, instance_id: str) -> Any:
    """A machine, the newest first: those are asked for while they are launched."""
    for reservation in reversed(backend.reservations.values()):
        for instance in reversed(reservation.instances):
            if instance.id == instance_id:
                return instance
    return None


def get_instance(backend: Any, instance_id: str) -> Any:
    """The same. Raises `InvalidInstanceID.NotFound`."""
    found = get_instance_by_id(backend, instance_id)
    if found is None:
        raise Refused("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    return found


def get_tags(resource: Any) -> list[dict[str, str]]:
    """The tags of one resource."""
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "")
    tags = resource.ec2_backend.tags.get(resource.id, {})
    return [{"resource_id": resource.id, "key": key, "value": value, "resource_type": kind} for key, value in tags.items()]
