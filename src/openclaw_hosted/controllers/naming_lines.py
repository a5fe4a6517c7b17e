"""What a line of the log is about: the same keys, whichever loop writes it.

`loop` names the loop, `instance`, `machine` and `webhook` the row that it works on. They are bound once, where a loop takes a row on, and
stand in each line that is written meanwhile, of adapters too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from structlog.contextvars import bound_contextvars

from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.webhook import Webhook


def ids(instance_id: InstanceId | None = None, machine_id: MachineId | None = None) -> Mapping[str, str]:
    """These ids by their keys, without those that are not known."""
    return {**({"instance": instance_id} if instance_id else {}), **({"machine": machine_id} if machine_id else {})}


def lines_about(instance_id: InstanceId | None = None, machine_id: MachineId | None = None) -> AbstractContextManager[None]:
    """Each line that is logged in the block names these."""
    return bound_contextvars(**ids(instance_id, machine_id))


def lines_about_row(row: object) -> AbstractContextManager[None]:
    """Each line that is logged in the block names this row, and what it belongs to."""
    match row:
        case Instance():
            return lines_about(row.id, row.machine_id)
        case Machine():
            return lines_about(row.instance_id, row.id)
        case Webhook():
            return bound_contextvars(webhook=row.id)
        case _:
            return lines_about()


def lines_of_loop(name: str) -> AbstractContextManager[None]:
    """Each line that is logged in the block names this loop."""
    return bound_contextvars(loop=name)
