"""EBS volumes: in one zone, on one machine, attached and detached over the data plane in their own time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.describe import matching, page
from lab.cloud.fleet import Row, refresh
from lab.cloud.idempotency import dry, once
from lab.cloud.operations import moto, operation
from lab.cloud.refused import Refused
from lab.cloud.snapshots import copying
from lab.cloud.xml import render

if TYPE_CHECKING:
    from lab.cloud.account import Account

RETRY_SECONDS = 0.05
FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "volume-id": lambda volume: volume.id,
    "status": lambda volume: volume.status,
    "availability-zone": lambda volume: volume.availability_zone,
    "size": lambda volume: volume.size,
    "volume-type": lambda volume: volume.volume_type,
    "snapshot-id": lambda volume: volume.snapshot_id,
    "encrypted": lambda volume: str(volume.encrypted).lower(),
    "attachment.instance-id": lambda volume: volume.attachment and volume.attachment.instance.id,
    "attachment.status": lambda volume: volume.attachment and volume.attachment.status,
    "attachment.device": lambda volume: volume.attachment and volume.attachment.device,
}


@dataclass
class Move:
    """A volume on its way to a machine, or away from it."""

    state: str
    """`attaching` or `detaching`."""
    since: float
    settled: bool = False
    forced: bool = False


@dataclass
class Disks:
    """What the lab keeps of volumes beside moto's objects: which are disks of the data plane, and which are on their way."""

    made: set[str] = field(default_factory=set)
    moves: dict[str, Move] = field(default_factory=dict)

    def refresh(self, account: Account) -> None:
        """Bring what is on its way up to now. Call with the lock held."""
        for volume_id, move in list(self.moves.items()):
            volume = account.ec2.volumes.get(volume_id)
            if volume is None or volume.attachment is None:
                del self.moves[volume_id]
            elif move.settled and account.clock() >= move.since + account.delays.attach_seconds:
                del self.moves[volume_id]
                if move.state == "attaching":
                    volume.attachment.status = "attached"
                else:
                    _take_off(volume)


def _take_off(volume: Any) -> None:
    volume.attachment.instance.block_device_mapping.pop(volume.attachment.device, None)
    volume.attachment = None


def _volume(account: Account, volume_id: str) -> Any:
    account.disks.refresh(account)
    volume = account.ec2.volumes.get(volume_id)
    if volume is None:
        raise Refused("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
    return volume


@operation("ec2", "CreateVolume", locked=False)
def create_volume(account: Account, call: Call) -> Any:
    """Make an empty volume, or one from a snapshot where the data plane keeps snapshots; once per client token."""
    dry(call)

    def work() -> Any:
        plane, snapshot_id = account.machines, call.params.get("SnapshotId")
        copies = copying(plane)
        if plane is not None and snapshot_id and copies is None:
            raise Refused("UnsupportedOperation", "The lab's data plane keeps no snapshots.")
        with account.lock:
            answer = moto(call)
        volume = answer.result
        if copies is not None and snapshot_id:
            copies.restore(snapshot_id, volume.id, int(volume.size))
        elif plane is not None:
            plane.create_volume(volume.id, int(volume.size))
        if plane is not None:
            account.disks.made.add(volume.id)
        return answer

    return once(account, call, work)


@operation("ec2", "DeleteVolume", locked=False)
def delete_volume(account: Account, call: Call) -> Any:
    """Destroy a volume that is on no machine."""
    dry(call)
    volume_id = call.params["VolumeId"]
    with account.lock:
        volume = _volume(account, volume_id)
        if volume.attachment is not None:
            raise Refused("VolumeInUse", f"Volume {volume_id} is currently attached to {volume.attachment.instance.id}")
        moto(call)
        account.ec2.tags.pop(volume_id, None)
    _destroy(account, volume_id)
    return {}


def _destroy(account: Account, volume_id: str) -> None:
    if account.machines is not None and volume_id in account.disks.made:
        account.disks.made.discard(volume_id)
        account.machines.delete_volume(volume_id)


@operation("ec2", "DescribeVolumes")
def describe_volumes(account: Account, call: Call) -> Any:
    """List volumes with where they are attached, page by page."""
    params = call.params
    wanted = params.get("VolumeIds")
    account.disks.refresh(account)
    volumes = [_volume(account, each) for each in wanted] if wanted else list(account.ec2.volumes.values())
    tags = account.ec2.tags
    volumes = [volume for volume in volumes if matching(volume, tags.get(volume.id, {}), FIELDS, params.get("Filters") or [])]
    shown, token = page(volumes, params, key=lambda volume: str(volume.id), most=500)
    return render("DescribeVolumes", {"Volumes": [_shown(volume, tags.get(volume.id, {})) for volume in shown], "NextToken": token})


def _shown(volume: Any, tags: Mapping[str, str]) -> dict[str, Any]:
    attachments = [attachment(volume)] if volume.attachment is not None else []
    return {
        "VolumeId": volume.id,
        "Size": volume.size,
        "VolumeType": volume.volume_type,
        "State": volume.status,
        "AvailabilityZone": volume.availability_zone,
        "CreateTime": volume.create_time,
        "Encrypted": volume.encrypted,
        "KmsKeyId": volume.kms_key_id,
        "SnapshotId": volume.snapshot_id or "",
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "MultiAttachEnabled": False,
        "Attachments": attachments,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def attachment(volume: Any) -> dict[str, Any]:
    """Where a volume is attached."""
    found = volume.attachment
    disk = found.instance.block_device_mapping.get(found.device)
    return {
        "VolumeId": volume.id,
        "InstanceId": found.instance.id,
        "Device": found.device,
        "State": found.status,
        "AttachTime": found.attach_time,
        "DeleteOnTermination": bool(disk and disk.delete_on_termination),
    }


@operation("ec2", "AttachVolume")
def attach_volume(account: Account, call: Call) -> Any:
    """Put a volume that is on no machine on one of its own zone."""
    dry(call)
    params = call.params
    volume, row = _volume(account, params["VolumeId"]), account.fleet.row(account, params["InstanceId"])
    if volume.attachment is not None:
        raise Refused("VolumeInUse", f"{volume.id} is already attached to an instance")
    if refresh(account, row) not in {"running", "stopped"}:
        raise Refused("IncorrectState", f"Instance '{row.id}' is not 'running'.")
    if volume.availability_zone != row.instance.availability_zone:
        raise Refused("InvalidVolume.ZoneMismatch", f"The volume '{volume.id}' is not in the same availability zone as instance '{row.id}'")
    if params["Device"] in row.instance.block_device_mapping:
        raise Refused("InvalidParameterValue", f"Attachment point {params['Device']} is already in use")
    account.ec2.attach_volume(volume.id, row.id, params["Device"]).status = "attaching"
    account.disks.moves[volume.id] = move = Move("attaching", account.clock(), settled=account.machines is None)
    if account.machines is not None:
        account.background(lambda: _put_on(account, move, row, params["Device"], volume.id))
    return attachment(volume)


def _put_on(account: Account, move: Move, row: Row, device: str, volume_id: str) -> None:
    assert account.machines is not None
    account.machines.attach(row.id, device, volume_id)
    with account.lock:
        move.settled = True


@operation("ec2", "DetachVolume")
def detach_volume(account: Account, call: Call) -> Any:
    """Take a volume off its machine; it is `busy` for as long as it is mounted there, unless it is taken by force."""
    dry(call)
    params = call.params
    volume = _volume(account, params["VolumeId"])
    found = volume.attachment
    if found is None:
        raise Refused("IncorrectState", f"Volume '{volume.id}' is in the 'available' state.")
    if params.get("InstanceId") not in {None, found.instance.id} or params.get("Device") not in {None, found.device}:
        raise Refused("InvalidAttachment.NotFound", f"Volume '{volume.id}' is not attached there.")
    forced = str(params.get("Force", "false")).lower() == "true"
    move = account.disks.moves.get(volume.id)
    if move is not None and move.state == "detaching":
        move.forced = move.forced or forced
    else:
        found.status = "detaching"
        account.disks.moves[volume.id] = move = Move("detaching", account.clock(), settled=account.machines is None, forced=forced)
        if account.machines is not None:
            going = move
            account.background(lambda: _let_go(account, going, volume))
    return {**attachment(volume), "State": "detaching"}


def _let_go(account: Account, move: Move, volume: Any) -> None:
    assert account.machines is not None
    while account.disks.moves.get(volume.id) is move:
        if account.machines.detach(volume.id, force=move.forced):
            break
        with account.lock:
            _busy(volume)
        time.sleep(RETRY_SECONDS)
    with account.lock:
        move.settled = True


def _busy(volume: Any) -> None:
    if volume.attachment is not None:
        volume.attachment.status = "busy"


def release_volumes(account: Account, row: Row) -> None:
    """What happens to a terminated machine's volumes: those that go with it are destroyed, the others are available again."""
    gone = [disk.volume_id for _, disk in row.instance.get_block_device_mapping if disk.delete_on_termination]
    for _, disk in row.instance.get_block_device_mapping:
        account.disks.moves.pop(disk.volume_id, None)
    row.instance.terminate()
    for volume_id in gone:
        account.ec2.tags.pop(volume_id, None)

    def destroy() -> None:
        for volume_id in gone:
            _destroy(account, volume_id)

    account.background(destroy)
