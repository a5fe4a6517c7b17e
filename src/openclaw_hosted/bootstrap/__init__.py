"""The one place that wires: which adapter stands behind which port, and what is started in which order."""

from openclaw_hosted.adapters.local.environment import TAKEN_OVER
from openclaw_hosted.bootstrap.adopting import Adoption, adopting
from openclaw_hosted.bootstrap.archives import Manifest, back_up, passphrase_of, restore_backup
from openclaw_hosted.bootstrap.costs import planned_deployment
from openclaw_hosted.bootstrap.doctor.local import examine
from openclaw_hosted.bootstrap.edge import edge_tls, root_certificate_of
from openclaw_hosted.bootstrap.platform import Platform, local_api, open_platform
from openclaw_hosted.bootstrap.pricing import refresh_prices
from openclaw_hosted.bootstrap.support import write_bundle
from openclaw_hosted.bootstrap.tools import build_image, open_vault, stop_everything

__all__ = [
    "TAKEN_OVER",
    "Adoption",
    "Manifest",
    "Platform",
    "adopting",
    "back_up",
    "build_image",
    "edge_tls",
    "examine",
    "local_api",
    "open_platform",
    "open_vault",
    "passphrase_of",
    "planned_deployment",
    "refresh_prices",
    "restore_backup",
    "root_certificate_of",
    "stop_everything",
    "write_bundle",
]
