"""The full lab: machines with Docker engines of their own, a registry in ECR's place, the real user data, the real OpenClaw.

Needs root and a Docker engine on this computer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from lab.cloud.ecr import Registry
from lab.cloud.latency import Delays, Latencies
from lab.cloud.server import LabCloud
from lab.plane.balancer import LabBalancers
from lab.plane.nested import NestedMachines
from lab.site import LOG_GROUP, REPOSITORY, Plan, Site
from openclaw_hosted.adapters.aws.user_data import render_user_data

TAG: Final = "current"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class NestedLab:
    """A lab that runs what AWS would run."""

    cloud: LabCloud
    machines: NestedMachines
    site: Site
    image: str
    """The gateway's image by digest, as machines pull it."""


@contextmanager
def nested_lab(
    image: str, plan: Plan, progress: Progress, *, latencies: Latencies | None = None, delays: Delays | None = None
) -> Iterator[NestedLab]:
    """A furnished account for the length of the block, with `image` (a tag of this computer's engine) in its repository."""
    cloud = LabCloud(latencies=latencies, delays=delays)
    progress("Making the lab's machine image, network and registry")
    address = urlsplit(cloud.endpoint_url)
    machines = NestedMachines((str(address.hostname), int(address.port or 0)), cloud.region, cloud.metadata)
    balancers = LabBalancers(cloud.topology)
    cloud.machines, cloud.balancers = machines, balancers
    cloud.registry = Registry(machines.registry.address, machines.registry.password, f"http://{machines.registry.push_address}")
    try:
        progress("Pushing OpenClaw's image to the lab's registry")
        pushed = machines.registry.push(image, f"{REPOSITORY}:{TAG}")
        repository = pushed.rpartition(":")[0]
        digest = cloud.registry.ask("HEAD", f"{REPOSITORY}/manifests/{TAG}").headers["Docker-Content-Digest"]
        by_digest = f"{repository}@{digest}"
        cidrs = ("10.0.0.0/16", machines.network)

        def user_data(addresses: Sequence[str]) -> str:
            return render_user_data(by_digest, addresses, cidrs, plan.deployment, LOG_GROUP)

        progress("Furnishing the account")
        site = Site(cloud, balancers, replace(plan, user_data=user_data, cidr=machines.network))
        yield NestedLab(cloud, machines, site, by_digest)
    finally:
        balancers.close()
        machines.close()
        cloud.close()
