"""The rules of a life: what an event makes of an instance and of its machine, as pure functions from rows to rows.

A store loads the rows, locks them, asks the rule, and writes what it answers, all in one transaction. Nothing else decides what
follows what.
"""

from openclaw_hosted.domain.lifecycle.adopting import adopt_ending, adopt_instance, adopt_owner, adopt_spare, stand_in_email
from openclaw_hosted.domain.lifecycle.changed import Changed, Topic, Work
from openclaw_hosted.domain.lifecycle.instances import (
    HELD,
    ask_delete,
    ask_restart,
    ask_restore,
    ask_update,
    change,
    claim,
    create,
    fail,
    file,
    hand_over,
    hold,
    make_volume,
    place,
    purge,
    restart,
    take_down,
    want_volume,
)
from openclaw_hosted.domain.lifecycle.machines import become_ready, condemn, launch, locate, lose, relocate, see_gone
from openclaw_hosted.domain.lifecycle.notices import leave, let_go, notice
from openclaw_hosted.domain.lifecycle.restore_points import (
    ask_point,
    ask_rewind,
    bring_elsewhere,
    leave_zone,
    rewind,
    schedule_point,
    stay,
    told,
    upgrade,
)

__all__ = [
    "HELD",
    "Changed",
    "Topic",
    "Work",
    "adopt_ending",
    "adopt_instance",
    "adopt_owner",
    "adopt_spare",
    "ask_delete",
    "ask_point",
    "ask_restart",
    "ask_restore",
    "ask_rewind",
    "ask_update",
    "become_ready",
    "bring_elsewhere",
    "change",
    "claim",
    "condemn",
    "create",
    "fail",
    "file",
    "hand_over",
    "hold",
    "launch",
    "leave",
    "leave_zone",
    "let_go",
    "locate",
    "lose",
    "make_volume",
    "notice",
    "place",
    "purge",
    "relocate",
    "restart",
    "rewind",
    "schedule_point",
    "see_gone",
    "stand_in_email",
    "stay",
    "take_down",
    "told",
    "upgrade",
    "want_volume",
]
