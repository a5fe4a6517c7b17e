"""Placement: brings each instance to the phase that its user wants.

Works on instance rows in an unsettled phase, under their leases: places them on machines, brings changes into force, takes them down,
and purges what they kept once the time for undo has passed. Every step is an ensure and is recorded, so that the user watches it live.
It never binds a route before the gateway behind it has proven whom it serves.
"""

from openclaw_hosted.controllers.placement.controller import PlacementController

__all__ = ["PlacementController"]
