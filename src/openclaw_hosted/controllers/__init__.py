"""The loops that bring what exists to what is wanted."""

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.loops import ControlLoops

__all__ = ["ControlLoops", "ControllerOptions", "Ports"]
