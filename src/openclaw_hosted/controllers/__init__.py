"""The loops that bring what exists to what is wanted."""

from openclaw_hosted.controllers.loops import ControlLoops
from openclaw_hosted.controllers.ports import ControllerOptions, Ports

__all__ = ["ControlLoops", "ControllerOptions", "Ports"]
