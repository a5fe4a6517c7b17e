"""What a machine that is out of reach of files is told to write: the configuration as a patch, merged where the volume is."""

from __future__ import annotations

import base64
import json

from openclaw_hosted.adapters.openclaw.config import Config, Places, base_patch, merge_patch, settings_patch
from openclaw_hosted.domain.gateway import GatewaySpec

PRUNED = ("models.providers", "channels")
"""Objects whose entries go that refer to the platform's credentials and are not in the patch."""


def whole_patch(spec: GatewaySpec, places: Places) -> Config:
    """All that the platform sets, as one merge patch."""
    return merge_patch(base_patch(spec.instance_id, places), settings_patch(spec, places, {}))


def encoded_patch(spec: GatewaySpec, places: Places) -> str:
    """The argument `config` of the machine's script: base64 of `{"patch": …, "prune": […]}`. Holds no credential."""
    body = {"patch": whole_patch(spec, places), "prune": list(PRUNED)}
    return base64.b64encode(json.dumps(body, separators=(",", ":")).encode()).decode()
