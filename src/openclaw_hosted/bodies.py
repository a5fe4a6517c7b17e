"""How large the body of a request may be that the platform itself takes: known to the edge and to the web application."""

from __future__ import annotations

from typing import Final

BODY_LIMIT_BYTES: Final = 64 * 1024
ARCHIVES_PATH: Final = "/api/v1/archives"
"""Takes bodies as large as an archive may be, with POST. Whoever reads them bounds them."""
