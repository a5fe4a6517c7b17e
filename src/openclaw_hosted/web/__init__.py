"""Pages and API: what a browser or a client asks for, answered by the services."""

from openclaw_hosted.web.app import create_app
from openclaw_hosted.web.context import WebOptions
from openclaw_hosted.web.local import LocalDoor

__all__ = ["LocalDoor", "WebOptions", "create_app"]
