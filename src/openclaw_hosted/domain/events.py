"""What happened, for people and for later: `subject.happened`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from openclaw_hosted.domain.actor import PLATFORM, Actor, Party
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId


class EventName(StrEnum):
    """The names of all events."""

    INSTANCE_CREATED = "instance.created"
    INSTANCE_ADOPTED = "instance.adopted"
    INSTANCE_RUNNING = "instance.running"
    INSTANCE_CHANGED = "instance.changed"
    INSTANCE_RESTART_ASKED = "instance.restart_asked"
    INSTANCE_UPDATE_NEEDED = "instance.update_needed"
    INSTANCE_OPENED = "instance.opened"
    INSTANCE_SENDER_APPROVED = "instance.sender_approved"
    INSTANCE_SENDER_DISMISSED = "instance.sender_dismissed"
    INSTANCE_FILLED_DISK = "instance.filled_disk"
    INSTANCE_MACHINE_LOST = "instance.machine_lost"
    INSTANCE_MOVING = "instance.moving"
    INSTANCE_KEY_REFUSED = "instance.key_refused"
    INSTANCE_KEY_REFUSAL_OVER = "instance.key_refusal_over"
    INSTANCE_FAILED = "instance.failed"
    INSTANCE_HELD = "instance.held"
    INSTANCE_DELETE_ASKED = "instance.delete_asked"
    INSTANCE_DELETED = "instance.deleted"
    INSTANCE_RESTORED = "instance.restored"
    INSTANCE_PURGED = "instance.purged"
    INSTANCE_REWIND_ASKED = "instance.rewind_asked"
    INSTANCE_REWOUND = "instance.rewound"
    INSTANCE_LEAVES_ZONE = "instance.leaves_zone"
    INSTANCE_STAYS_IN_ZONE = "instance.stays_in_zone"
    RESTORE_POINT_ASKED = "restore_point.asked"
    RESTORE_POINT_MADE = "restore_point.made"
    RESTORE_POINT_FAILED = "restore_point.failed"
    RESTORE_POINT_LOST = "restore_point.lost"
    RESTORE_POINT_REMOVE_ASKED = "restore_point.remove_asked"
    RESTORE_POINT_REMOVED = "restore_point.removed"
    ARCHIVE_BROUGHT = "archive.brought"
    ARCHIVE_TAKEN = "archive.taken"
    MACHINE_LAUNCHED = "machine.launched"
    MACHINE_ADOPTED = "machine.adopted"
    MACHINE_AVAILABLE = "machine.available"
    MACHINE_CLAIMED = "machine.claimed"
    MACHINE_NOTICED = "machine.noticed"
    MACHINE_CONDEMNED = "machine.condemned"
    MACHINE_TERMINATED = "machine.terminated"
    MACHINE_LAUNCH_FAILED = "machine.launch_failed"
    GATEWAY_RESTARTED = "gateway.restarted"
    GATEWAY_HUNG = "gateway.hung"
    LOOP_ROW_FAILED = "loop.row_failed"
    ORPHAN_REMOVED = "orphan.removed"
    ORPHAN_QUARANTINED = "orphan.quarantined"
    ORPHANS_HELD_BACK = "orphan.held_back"
    ORPHAN_RELEASED = "orphan.released"
    BACKUP_MADE = "backup.made"
    BACKUP_FAILED = "backup.failed"
    ALARM_BEGAN = "alarm.began"
    ALARM_ENDED = "alarm.ended"
    POOL_PAUSED = "pool.paused"
    POOL_RESUMED = "pool.resumed"
    POOL_REPLENISH_ASKED = "pool.replenish_asked"
    POOL_SPARES_CHANGED = "pool.spares_changed"
    POOL_STATUS_CHANGED = "pool.status_changed"
    SETUP_LINK_MADE = "setup.link_made"
    USER_INVITED = "user.invited"
    INVITATION_REVOKED = "user.invitation_revoked"
    USER_JOINED = "user.joined"
    USER_ADOPTED = "user.adopted"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_ROLE_CHANGED = "user.role_changed"
    USER_PASSWORD_RESET = "user.password_reset"
    USER_PASSWORD_CHANGED = "user.password_changed"
    USER_SIGNED_IN = "user.signed_in"
    USER_SIGN_IN_FAILED = "user.sign_in_failed"
    USER_CONFIRMED = "user.confirmed"
    USER_MAIL_CHANGED = "user.mail_changed"
    SESSION_ENDED = "session.ended"
    TOKEN_CREATED = "token.created"
    TOKEN_REVOKED = "token.revoked"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_ENABLED = "webhook.enabled"
    WEBHOOK_DISABLED = "webhook.disabled"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `user_id` is whom it is about, `actor` who caused it. `detail` holds short public facts, never a
    credential."""

    name: EventName
    at: float
    instance_id: InstanceId | None = None
    machine_id: MachineId | None = None
    user_id: UserId | None = None
    detail: Mapping[str, str | int | float] = field(default_factory=dict)
    id: int | None = None
    actor: Actor | None = PLATFORM
    """None where an earlier version did not keep it."""


def as_seen_by(user_id: UserId, event: Event) -> Event:
    """Without what only operators may know: of others who acted, operators say, an owner learns no address and no name."""
    if event.actor is None or isinstance(event.actor.id, Party) or event.actor.id == user_id:
        return event
    return replace(event, actor=replace(event.actor, id=Party.OPERATOR, address=None))
