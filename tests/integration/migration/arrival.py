"""Where the state of one user comes from and goes to, in tests with folders."""

from __future__ import annotations

from openclaw_hosted.domain.migration import OldState
from openclaw_hosted.domain.naming import InstanceId, VolumeId
from openclaw_hosted.ports.gateways import Seat
from openclaw_hosted.ports.legacy import Arrival

STATE = OldState("fs-1:/users/user-1")
ID = InstanceId("oc-7f3k2m9q")
ARRIVAL = Arrival(Seat("mc-1", ID), VolumeId("vol-7f3k2m9q"), ID, "user-1-1")
