"""The user data of machines: what the launch template gives them for their first boot."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Final

from openclaw_hosted.adapters.aws.commands import machine_script
from openclaw_hosted.adapters.aws.gateways import Inside
from openclaw_hosted.adapters.aws.names import secret_of
from openclaw_hosted.adapters.openclaw.patches import PRUNED, whole_patch
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, VolumeId

MOST_BYTES: Final = 16_384
"""What EC2 takes, before base64."""
ID: Final = InstanceId("oc-00000000")
"""Stands for the instance id, which only the machine knows, by its tag. Sorts as ids do, and is nobody's, as they hold no zeros."""
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]+")
_GROUP: Final = re.compile(r"[A-Za-z0-9_./#-]{0,512}")
_PLACE: Final = re.compile(r"@(IMAGE|SCRIPT|SECRET|CONFIG|LOG|ID)@")
_WIDTH: Final = 128


def render_user_data(
    image: str, origins: Sequence[str], trusted_proxies: Sequence[str], secret_prefix: str, log_group: str | None = None
) -> str:
    """A script for cloud-init that holds no secret. Starts the gateway with the configuration that `AwsGateways.start` would send a spare.

    `image` is a repository's address with a tag or a digest, `secret_prefix` the deployment's name; in an origin, `@ID@` stands for the
    instance id. `log_group` is a CloudWatch group, for containers to log to. Raises `ValueError`.
    """
    if not _IMAGE.fullmatch(image):
        raise ValueError(f"{image!r} is not the address of an image.")
    if not _GROUP.fullmatch(log_group or ""):
        raise ValueError(f"{log_group!r} is not the name of a log group.")
    spec = GatewaySpec(ID, 0, VolumeId(""), image)
    places = Inside(lambda _: [origin.replace("@ID@", ID) for origin in origins], trusted_proxies, secret_prefix).places(ID)
    config = {"patch": whole_patch(spec, places), "prune": list(PRUNED)}
    values = {
        "ID": ID,
        "IMAGE": image,
        "SCRIPT": _packed(machine_script()),
        "SECRET": secret_of(secret_prefix, ID),
        "LOG": log_group or "",
        "CONFIG": json.dumps(config, separators=(",", ":")),
    }
    template = resources.files("openclaw_hosted.adapters.aws.machine").joinpath("user-data.sh").read_text(encoding="utf-8")
    rendered = _PLACE.sub(lambda place: values[place[1]], template)
    if len(rendered.encode()) > MOST_BYTES:
        raise ValueError(f"The user data has {len(rendered.encode())} bytes; EC2 takes {MOST_BYTES}.")
    return rendered


def _packed(script: str) -> str:
    """Compressed, the same each time, in lines of base64."""
    text = base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
    return "\n".join(text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH))
