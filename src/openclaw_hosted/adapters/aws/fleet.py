"""The whole fleet in one listing, shared by all that ask for it at the same time; those that boot in another; and single machines.

However large the fleet, a look at it costs one paged DescribeInstances. To read that takes a millisecond of processor time for each
machine, so whoever waits for a machine looks only at those that boot, and whoever wants one machine asks for that one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from openclaw_hosted.adapters.aws.listing import SharedListing
from openclaw_hosted.adapters.aws.names import MACHINE_NAME, PORT, Tag, filters, from_tags
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.ports.clock import Clock

FRESH_SECONDS: Final = 2.0
REMEMBERED_SECONDS: Final = 60.0
"""For what does not change while a machine lives, its address say."""
PAGE: Final = 1000
INITIALIZING: Final = "initializing"
"""The tag `Status` of a machine from its launch until it is a spare."""
EXISTING: Final = ["pending", "running", "shutting-down", "stopping", "stopped"]

RUNNING: Final = frozenset({"pending", "running"})


@dataclass(frozen=True, slots=True)
class Ec2Machine:
    """One machine as EC2 lists it."""

    ref: str
    state: str
    zone: str
    kind: str
    """Its instance type."""
    address: str | None
    """`host:port` of its gateway."""
    launched_at: float
    tags: dict[str, str] = field(default_factory=dict)
    devices: frozenset[str] = frozenset()
    """Where all of its disks are, such as `/dev/sdf`."""

    @property
    def machine_id(self) -> MachineId | None:
        """Ours, once it has one."""
        name = self.tags.get(Tag.MACHINE)
        return MachineId(name) if name else None


class Fleet:
    """The machines of one deployment."""

    def __init__(self, sdk: Sdk, clock: Clock, deployment: str, vpc: str) -> None:
        self._sdk = sdk
        self._wanted: dict[str, str | list[str]] = {
            "tag_Name": MACHINE_NAME,
            "tag_Deployment": deployment,
            "vpc_id": vpc,
            "instance_state_name": EXISTING,
        }
        self._clock = clock
        self._listing = SharedListing(self._look_at_all, clock)
        self._booting = SharedListing(partial(self._look, tag_Status=INITIALIZING), clock)
        self._known: dict[str, tuple[float, Ec2Machine]] = {}
        """What any look found, and when it began."""
        self._forgotten_at = -math.inf

    async def list(self, *, newer_than: float = FRESH_SECONDS) -> Sequence[Ec2Machine]:
        """All that exist, as they were at most `newer_than` seconds ago."""
        return await self._listing.get(newer_than)

    async def booting(self) -> Sequence[Ec2Machine]:
        """Those that say of themselves that they are being brought up."""
        return await self._booting.get(FRESH_SECONDS)

    async def find(self, ref: str) -> Ec2Machine:
        """One machine, as it was at most a minute ago. Raises `NotFound`."""
        found = self._lately(lambda machine: machine.ref == ref)
        return found or await self.look_at(ref)

    async def look_at(self, ref: str) -> Ec2Machine:
        """One machine as it is now, in a call of its own. Raises `NotFound`."""
        for machine in await self._look(instance_id=ref):
            return machine
        raise NotFound(f"EC2 lists no machine {ref[:40]!r}.")

    async def runs(self, ref: str, newer_than: float) -> bool:
        """Whether a machine was there and on its way or up, `newer_than` seconds ago at most. One that is not listed so is looked at."""
        if any(machine.ref == ref and machine.state in RUNNING for machine in await self.list(newer_than=newer_than)):
            return True
        return any(machine.state in RUNNING for machine in await self._look(instance_id=ref))

    async def called(self, machine_id: MachineId) -> Ec2Machine:
        """The machine that has this id of ours, as it was at most a minute ago. Raises `NotFound`."""
        found = self._lately(lambda machine: machine.machine_id == machine_id)
        for machine in [found] if found else await self._look(tag_MachineId=machine_id):
            return machine
        raise NotFound(f"EC2 lists no machine with the tag MachineId={machine_id}.")

    def forget(self) -> None:
        """Look anew next time: something was changed."""
        self._forgotten_at = self._clock.monotonic()
        self._listing.forget()
        self._booting.forget()

    def expect(self) -> None:
        """A machine was launched: those that boot are looked at anew. All others are as they were."""
        self._booting.forget()

    def _lately(self, is_wanted: Callable[[Ec2Machine], bool]) -> Ec2Machine | None:
        since = max(self._clock.monotonic() - REMEMBERED_SECONDS, self._forgotten_at)
        return next((machine for at, machine in self._known.values() if at > since and is_wanted(machine)), None)

    async def _look_at_all(self) -> Sequence[Ec2Machine]:
        began_at, found = self._clock.monotonic(), await self._look()
        self._known = {ref: known for ref, known in self._known.items() if known[0] >= began_at}
        return found

    async def _look(self, **more: str) -> Sequence[Ec2Machine]:
        began_at = self._clock.monotonic()
        pages = self._sdk.pages(Call.DESCRIBE_INSTANCES, Filters=filters(**self._wanted, **more), MaxResults=PAGE)
        found = [
            _machine(instance) async for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]
        ]
        self._known.update({machine.ref: (began_at, machine) for machine in found})
        return found


def _machine(instance: dict[str, Any]) -> Ec2Machine:
    address = instance.get("PrivateIpAddress")
    mappings = instance.get("BlockDeviceMappings", ())
    return Ec2Machine(
        ref=instance["InstanceId"],
        state=instance["State"]["Name"],
        zone=instance["Placement"]["AvailabilityZone"],
        kind=instance["InstanceType"],
        address=f"{address}:{PORT}" if address else None,
        launched_at=instance["LaunchTime"].timestamp(),
        tags=from_tags(instance.get("Tags")),
        devices=frozenset(disk["DeviceName"] for disk in mappings),
    )
