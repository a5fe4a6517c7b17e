"""Volumes: an EBS volume for each id, found by its tag `VolumeId`; the tag `InstanceId` is the mark that can be seen from outside.

The mark that counts is inside the volume, and is checked by the machine that mounts it (machine/openclaw-machine.sh).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from openclaw_hosted.adapters.aws.fleet import Fleet
from openclaw_hosted.adapters.aws.listing import SharedListing
from openclaw_hosted.adapters.aws.names import DEVICES, MACHINE_NAME, Tag, as_tags, filters, from_tags
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.domain.errors import Conflict, NotFound, Unavailable
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.volumes import LargeVolume, ObservedVolume

FRESH_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 1.0
PAGE: Final = 500
YES: Final = "yes"
NO: Final = "no"


@dataclass(frozen=True, slots=True)
class EbsVolume:
    """One volume as EC2 lists it."""

    ref: str
    state: str
    zone: str
    tags: dict[str, str]
    attached_to: str | None
    """The EC2 id of the machine that has it, or is about to have it or to lose it."""

    @property
    def volume_id(self) -> VolumeId:
        """Ours; of one that nothing was made of yet, EC2's."""
        return VolumeId(self.tags.get(Tag.VOLUME, self.ref))

    @property
    def instance_id(self) -> InstanceId | None:
        """Whose data it holds."""
        name = self.tags.get(Tag.INSTANCE)
        return InstanceId(name) if name else None

    @property
    def is_fresh(self) -> bool:
        """Whether no gateway is known to have started on it."""
        return self.instance_id is None or self.tags.get(Tag.FRESH) == YES


class AwsVolumes:
    """`Volumes` on EBS. Every machine comes with a volume of its own, which `create` gives an id."""

    def __init__(self, sdk: Sdk, fleet: Fleet, clock: Clock, deployment: str, size_gib: int) -> None:
        self._sdk = sdk
        self._fleet = fleet
        self._clock = clock
        self._deployment = deployment
        self._size_gib = size_gib
        self._listing = SharedListing(self._look, clock)

    async def create(self, volume_id: VolumeId, provider_ref: str) -> None:
        """The volume that came with the machine, where it is nobody's yet; else a new one in its zone. See the port."""
        if await self._look(tag_VolumeId=volume_id):
            return
        own = next((volume.ref for volume in await self.on(provider_ref) if Tag.VOLUME not in volume.tags), None)
        tags = self._tags(volume_id)
        if own is not None:
            await self._sdk.call(Call.CREATE_TAGS, Resources=[own], Tags=as_tags(tags))
        else:
            machine = await self._fleet.find(provider_ref)
            await self._sdk.call(
                Call.CREATE_VOLUME,
                AvailabilityZone=machine.zone, Size=self._size_gib, VolumeType="gp3", Encrypted=True,
                ClientToken=f"{self._deployment}-{volume_id}",
                TagSpecifications=[{"ResourceType": "volume", "Tags": as_tags(tags)}],
            )  # fmt: skip
        self._listing.forget()

    async def attach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        """Attach it. Raises `Conflict` while another machine has it, `NotFound` where there is none."""
        await self.attach_to((await self._fleet.called(machine_id)).ref, volume_id)

    async def attach_to(self, provider_ref: str, volume_id: VolumeId, instance_id: InstanceId | None = None) -> EbsVolume:
        """Have a volume be a disk of this machine, and wait until it is; returns it. Raises `Conflict` where it holds the data of another
        instance than the one that is given."""
        volume = await self.existing(volume_id)
        if instance_id is not None:
            _check_mark(volume, instance_id)
        if volume.attached_to not in (None, provider_ref):
            raise Conflict(f"Volume {volume_id} is attached to machine {volume.attached_to}.")
        if volume.attached_to is None:
            machine = await self._fleet.look_at(provider_ref)
            device = next(device for device in DEVICES if device not in machine.devices)
            await self._sdk.call(Call.ATTACH_VOLUME, VolumeId=volume.ref, InstanceId=provider_ref, Device=device)
            self._fleet.forget()
        return volume if volume.attached_to and volume.state == "in-use" else await self.settled(volume_id, "in-use")

    async def mark(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        """Write whose data it holds; raises `Conflict` where it names another."""
        await self.mark_seen(await self.existing(volume_id), instance_id)

    async def mark_seen(self, volume: EbsVolume, instance_id: InstanceId) -> None:
        """The same for one that was just looked at. Done before anything is written to it: one without a mark holds nobody's data."""
        _check_mark(volume, instance_id)
        if volume.instance_id is None:
            await self._label(volume, {Tag.INSTANCE: instance_id, Tag.FRESH: YES})

    async def used(self, volume: EbsVolume) -> None:
        """A gateway has started on it: it is never to be formatted again."""
        if volume.is_fresh:
            await self._label(volume, {Tag.FRESH: NO})

    async def _label(self, volume: EbsVolume, tags: dict[str, str]) -> None:
        await self._sdk.call(Call.CREATE_TAGS, Resources=[volume.ref], Tags=as_tags(tags))
        self._listing.forget()

    async def detach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        """Detach it, and wait until it is. Does nothing where that machine does not have it."""
        volume = await self.find(volume_id)
        if volume is None or volume.attached_to is None:
            return
        machine = await self._fleet.find(volume.attached_to)
        if machine.machine_id != machine_id:
            return
        await self._sdk.call(Call.DETACH_VOLUME, VolumeId=volume.ref, InstanceId=machine.ref)
        self._fleet.forget()
        await self.settled(volume_id, "available")

    async def purge(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        """Destroy it for good. Raises `Conflict` when it is attached or holds another's data. Does nothing where it is gone."""
        volume = await self.find(volume_id)
        if volume is None or volume.state in ("deleting", "deleted"):
            return
        if volume.attached_to is not None:
            raise Conflict(f"Volume {volume_id} is attached to machine {volume.attached_to}.")
        _check_mark(volume, instance_id)
        await self._sdk.call(Call.DELETE_VOLUME, VolumeId=volume.ref)
        self._listing.forget()

    async def look_at(self, volume_id: VolumeId) -> ObservedVolume | None:
        """One of them, as it is now."""
        found = await self.find(volume_id)
        return None if found is None else (await self._observed([found]))[0]

    async def list(self) -> Sequence[ObservedVolume]:
        """All that exist."""
        return await self._observed(await self._listing.get(FRESH_SECONDS))

    async def _observed(self, volumes: Sequence[EbsVolume]) -> Sequence[ObservedVolume]:
        machines = {machine.ref: machine.machine_id for machine in await self._fleet.list()}

        def holder(ref: str | None) -> MachineId | None:
            return None if ref is None else machines.get(ref) or MachineId(ref)

        return [ObservedVolume(each.volume_id, each.instance_id, holder(each.attached_to), each.zone) for each in volumes]

    async def crowding(self) -> Sequence[LargeVolume]:
        """None: each has a disk of its own."""
        return ()

    async def on(self, provider_ref: str) -> Sequence[EbsVolume]:
        """Those of one machine as they are now, its root disk left out."""
        return await self._look(attachment__instance_id=provider_ref)

    async def existing(self, volume_id: VolumeId) -> EbsVolume:
        """A volume as it is now. Raises `NotFound`."""
        volume = await self.find(volume_id)
        if volume is None:
            raise NotFound(f"Volume {volume_id} does not exist.")
        return volume

    def forget(self) -> None:
        """Something changed: the listing is old."""
        self._listing.forget()

    async def find(self, volume_id: VolumeId) -> EbsVolume | None:
        """A volume as it is now, if there is one. Looked for by its tag, which one has not that nothing was made of yet."""
        found = await self._look(tag_VolumeId=volume_id) or await self._listing.get(0)
        return next((volume for volume in found if volume.volume_id == volume_id), None)

    async def _look(self, **more: str) -> Sequence[EbsVolume]:
        wanted = filters(tag_Name=MACHINE_NAME, tag_Deployment=self._deployment, **more)
        pages = self._sdk.pages(Call.DESCRIBE_VOLUMES, Filters=wanted, MaxResults=PAGE)
        return [_volume(each) async for page in pages for each in page["Volumes"] if not _ends_with_its_machine(each)]

    async def settled(self, volume_id: VolumeId, state: str) -> EbsVolume:
        """The volume, once it is in this state and its attachment with it."""
        deadline = self._clock.monotonic() + SETTLE_SECONDS
        while True:
            volume = await self.existing(volume_id)
            if volume.state == state and (volume.attached_to is not None) == (state == "in-use"):
                return volume
            if self._clock.monotonic() > deadline:
                raise Unavailable(f"Volume {volume_id} stays {volume.state}; it should be {state}.")
            await self._clock.sleep(POLL_SECONDS)

    def _tags(self, volume_id: VolumeId) -> dict[str, str]:
        return {Tag.NAME: MACHINE_NAME, Tag.DEPLOYMENT: self._deployment, Tag.VOLUME: volume_id}


def _check_mark(volume: EbsVolume, instance_id: InstanceId) -> None:
    if volume.instance_id not in (None, instance_id):
        raise Conflict(f"Volume {volume.volume_id} holds the data of instance {volume.instance_id}, not of {instance_id}.")


def _ends_with_its_machine(body: dict[str, Any]) -> bool:
    """Whether it is a root disk: launch templates tag those as they tag the others."""
    return any(each.get("DeleteOnTermination") for each in body.get("Attachments", ()))


def _volume(body: dict[str, Any]) -> EbsVolume:
    attachments = [each for each in body.get("Attachments", ()) if each.get("State") != "detached"]
    settling = any(each.get("State") in ("attaching", "detaching") for each in attachments)
    return EbsVolume(
        ref=body["VolumeId"],
        state="settling" if settling else body["State"],
        zone=body["AvailabilityZone"],
        tags=from_tags(body.get("Tags")),
        attached_to=attachments[0]["InstanceId"] if attachments else None,
    )
