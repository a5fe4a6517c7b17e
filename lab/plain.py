"""The fast lab: the emulated API, stand-ins for machines and gateways, and real load balancers, all in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.cloud.latency import Delays, Latencies
from lab.cloud.server import LabCloud
from lab.plane.balancer import LabBalancers
from lab.plane.plain import PlainMachines, Timing
from lab.site import Plan, Site


@dataclass(frozen=True, slots=True)
class PlainLab:
    """A lab that takes a second to start."""

    cloud: LabCloud
    machines: PlainMachines
    site: Site


@contextmanager
def plain_lab(
    plan: Plan | None = None, *, latencies: Latencies | None = None, delays: Delays | None = None, timing: Timing | None = None
) -> Iterator[PlainLab]:
    """A furnished account for the length of the block. Nothing takes any time unless it is asked to."""
    cloud = LabCloud(latencies=latencies, delays=delays)
    machines = PlainMachines(cloud.secret, cloud.metadata, timing)
    balancers = LabBalancers(cloud.topology)
    cloud.machines, cloud.balancers = machines, balancers
    try:
        site = Site(cloud, balancers, plan or Plan())
        site.put_image("lab")
        yield PlainLab(cloud, machines, site)
    finally:
        balancers.close()
        machines.close()
        cloud.close()
