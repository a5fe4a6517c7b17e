"""Snapshots of volumes: pending for a while, then completed, or failed; they outlive their volume.

Sources: EC2's API reference, CreateSnapshot, DescribeSnapshots (states `pending`, `completed`, `error`), and its list of error codes
(`SnapshotCreationPerVolumeRateExceeded`: 15 seconds between two of one volume).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lab.cloud.calls import Call
from lab.cloud.describe import matching, moment, page
from lab.cloud.idempotency import dry
from lab.cloud.operations import moto, operation
from lab.cloud.refused import Refused
from lab.cloud.xml import render

if TYPE_CHECKING:
    from lab.cloud.account import Account

BETWEEN_SECONDS = 15.0
FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "snapshot-id": lambda snapshot: snapshot.id,
    "volume-id": lambda snapshot: snapshot.volume_id,
    "status": lambda snapshot: snapshot.status,
    "owner-id": lambda snapshot: snapshot.owner_id,
    "encrypted": lambda snapshot: str(snapshot.encrypted).lower(),
}


@runtime_checkable
class Copying(Protocol):
    """A data plane that can copy disks."""

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Keep a copy of a disk as it is now."""
        ...

    def restore(self, snapshot_id: str, volume_id: str, size_gib: int) -> None:
        """Make a disk, attached to nothing, from a copy. Raises `LookupError` for one that is not kept."""
        ...


def copying(plane: object) -> Copying | None:
    """A data plane, if it can copy disks."""
    return plane if isinstance(plane, Copying) else None


@dataclass
class Snapshots:
    """What the lab keeps of snapshots beside moto's objects."""

    began: dict[str, float] = field(default_factory=dict)
    """When each was begun, by its id."""
    failing: set[str] = field(default_factory=set)
    """Volumes of which the next snapshot ends in an error."""

    def refresh(self, account: Account) -> None:
        """Bring those that are under way up to now. Call with the lock held."""
        for snapshot_id, began in self.began.items():
            snapshot = account.ec2.snapshots.get(snapshot_id)
            if snapshot is None or snapshot.status != "pending" or account.clock() < began + account.delays.snapshot_seconds:
                continue
            snapshot.status = "error" if snapshot.volume_id in self.failing else "completed"
            self.failing.discard(snapshot.volume_id)


@operation("ec2", "CreateSnapshot", locked=False)
def create_snapshot(account: Account, call: Call) -> Any:
    """Begin a snapshot, and copy the disk where the data plane can."""
    dry(call)
    volume_id, now = call.params["VolumeId"], account.clock()
    kept = account.snapshots
    with account.lock:
        kept.refresh(account)
        others = [each for each in account.ec2.snapshots.values() if each.status == "pending" and each.volume_id == volume_id]
        if any(now < kept.began[each.id] + BETWEEN_SECONDS for each in others if each.id in kept.began):
            raise Refused("SnapshotCreationPerVolumeRateExceeded", "The maximum per volume CreateSnapshot request rate has been exceeded.")
        answer = moto(call)
        answer.result.status = "pending"
        kept.began[answer.result.id] = now
    copies = copying(account.machines)
    if copies is not None and volume_id in account.disks.made:
        copies.snapshot(volume_id, answer.result.id)
    return answer


@operation("ec2", "DescribeSnapshots")
def describe_snapshots(account: Account, call: Call) -> Any:
    """List the account's own snapshots, page by page."""
    params = call.params
    account.snapshots.refresh(account)
    own = [each for each in account.ec2.snapshots.values() if each.owner_id == account.account_id]
    if wanted := params.get("SnapshotIds"):
        known = {each.id: each for each in own}
        missing = next((each for each in wanted if each not in known), None)
        if missing is not None:
            raise Refused("InvalidSnapshot.NotFound", f"The snapshot '{missing}' does not exist.")
        own = [known[each] for each in wanted]
    tags = account.ec2.tags
    found = [each for each in own if matching(each, tags.get(each.id, {}), FIELDS, params.get("Filters") or [])]
    shown, token = page(found, params, key=lambda snapshot: str(snapshot.id), most=1000)
    return render("DescribeSnapshots", {"Snapshots": [_shown(account, each) for each in shown], "NextToken": token})


def _shown(account: Account, snapshot: Any) -> dict[str, Any]:
    done = snapshot.status == "completed"
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "VolumeSize": snapshot.volume_size,
        "State": snapshot.status,
        "StateMessage": "An internal error occurred." if snapshot.status == "error" else None,
        "Progress": "100%" if done else "0%",
        "StartTime": moment(account.snapshots.began.get(snapshot.id, snapshot.start_time.timestamp())),
        "Description": snapshot.description,
        "OwnerId": snapshot.owner_id,
        "Encrypted": snapshot.encrypted,
        "Tags": [{"Key": key, "Value": value} for key, value in account.ec2.tags.get(snapshot.id, {}).items()],
    }


@operation("ec2", "DeleteSnapshot")
def delete_snapshot(account: Account, call: Call) -> Any:
    """Remove a snapshot, whatever its state."""
    dry(call)
    answer = moto(call)
    account.ec2.tags.pop(call.params["SnapshotId"], None)
    account.snapshots.began.pop(call.params["SnapshotId"], None)
    return answer
