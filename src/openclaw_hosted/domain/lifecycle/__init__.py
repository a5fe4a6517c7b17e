"""The rules of a life: what an event makes of an instance and of its machine, as pure functions from rows to rows.

A store loads the rows, locks them, asks the rule, and writes what it answers, all in one transaction. Nothing else decides what
follows what.
"""

from openclaw_hosted.domain.lifecycle.changed import Changed, Topic, Work
from openclaw_hosted.domain.lifecycle.instances import (
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
    make_volume,
    place,
    purge,
    restart,
    take_down,
    want_volume,
)
from openclaw_hosted.domain.lifecycle.machines import become_ready, condemn, launch, locate, lose, relocate, see_gone
from openclaw_hosted.domain.lifecycle.notices import leave, let_go, notice

__all__ = [
    "Changed",
    "Topic",
    "Work",
    "ask_delete",
    "ask_restart",
    "ask_restore",
    "ask_update",
    "become_ready",
    "change",
    "claim",
    "condemn",
    "create",
    "fail",
    "file",
    "hand_over",
    "launch",
    "leave",
    "let_go",
    "locate",
    "lose",
    "make_volume",
    "notice",
    "place",
    "purge",
    "relocate",
    "restart",
    "see_gone",
    "take_down",
    "want_volume",
]
