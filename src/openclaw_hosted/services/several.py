"""One action on several machines or instances, with a look beforehand at what it would do to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, NotFound, OpenClawHostedError
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.lifecycle import Changed
from openclaw_hosted.domain.machine import Machine, MachineFailure
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import InstanceStore, MachineStore
from openclaw_hosted.ports.stores.console import ConsoleStore
from openclaw_hosted.services.console import ConsoleService
from openclaw_hosted.services.operations import OperationsService

MOST: Final = 100
"""Of those that are chosen at once."""
ID_LENGTH: Final = 40
GONE: Final = "It is not there any more."
NOTHING_TO_DO: Final = "There is nothing to do: it ends already, was asked before, or its instance is being deleted."


class Action(StrEnum):
    """What can be done to several at once."""

    DRAIN = "drain"
    RETIRE = "retire"
    RETRY = "retry"
    HOLD = "hold"

    @property
    def of_machines(self) -> bool:
        """Whether it is done to machines, and not to instances."""
        return self in (Action.DRAIN, Action.RETIRE)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One of those that were chosen, with the instance that is meant or on the machine. `problem` is why it can't be done, or was not."""

    id: str
    machine: Machine | None = None
    instance: Instance | None = None
    owner: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SeveralService:
    """For admins only."""

    _console: ConsoleService
    _operations: OperationsService
    _machines: MachineStore
    _instances: InstanceStore
    _accounts: ConsoleStore
    _clock: Clock

    async def preview(self, actor: Actor, action: Action, ids: Sequence[str]) -> Sequence[Chosen]:
        """What would become of each; changes nothing. Raises `InvalidInput` for none, or too many."""
        require_admin(actor)
        chosen = list(dict.fromkeys(ids))
        if not chosen:
            raise InvalidInput(FieldProblem("id", "Mark at least one row of the list."))
        if len(chosen) > MOST:
            raise InvalidInput(FieldProblem("id", f"Mark at most {MOST} rows."))
        found = [await self._look(actor, action, each) for each in chosen]
        emails = await self._accounts.emails({each.instance.owner_id for each in found if each.instance})
        return [replace(each, owner=emails.get(each.instance.owner_id, "")) if each.instance else each for each in found]

    async def carry_out(self, actor: Actor, action: Action, ids: Sequence[str]) -> Sequence[Chosen]:
        """Do it to each that it can be done to, whatever becomes of the others. Raises as `preview` does."""
        chosen = await self.preview(actor, action, ids)
        return [replace(each, problem=each.problem or await self._try(actor, action, each.id)) for each in chosen]

    async def _look(self, actor: Actor, action: Action, chosen: str) -> Chosen:
        machine, instance = None, None
        if len(chosen) > ID_LENGTH or not chosen.isprintable():
            return Chosen(chosen[:ID_LENGTH], problem=GONE)
        try:
            if action.of_machines:
                machine = await self._machines.get(MachineId(chosen))
                instance = await self._instances.get(machine.instance_id) if machine.instance_id else None
            else:
                instance = await self._instances.get(InstanceId(chosen))
            changed = self._would(actor, action, machine, instance)
        except NotFound:
            return Chosen(chosen, machine, instance, problem=GONE)
        except OpenClawHostedError as error:
            return Chosen(chosen, machine, instance, problem=str(error))
        return Chosen(chosen, machine, instance, problem=NOTHING_TO_DO if changed == Changed() else None)

    def _would(self, actor: Actor, action: Action, machine: Machine | None, instance: Instance | None) -> Changed:
        """What the rules make of it."""
        now = self._clock.now()
        if machine is not None and action is Action.DRAIN:
            return lifecycle.notice(machine, instance, now=now, kind=NoticeKind.DRAIN, leaves_at=now, actor=actor)
        if machine is not None:
            return lifecycle.condemn(machine, now=now, failure=MachineFailure.BY_OPERATOR, unassigned_only=True, actor=actor)
        assert instance is not None
        rule = lifecycle.ask_restart if action is Action.RETRY else lifecycle.hold
        return rule(instance, actor=actor, now=now)

    async def _try(self, actor: Actor, action: Action, chosen: str) -> str | None:
        try:
            match action:
                case Action.DRAIN:
                    await self._operations.give_notice(actor, chosen, NoticeKind.DRAIN)
                case Action.RETIRE:
                    await self._operations.retire_spare(actor, chosen)
                case Action.RETRY:
                    await self._console.retry(actor, chosen)
                case Action.HOLD:
                    await self._console.hold(actor, chosen)
        except OpenClawHostedError as error:
            return str(error)
        return None
