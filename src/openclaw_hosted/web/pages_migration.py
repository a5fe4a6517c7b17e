"""The page about users who come out of an older system: how far each has come, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from openclaw_hosted.domain.migration import ROLLBACK_SECONDS, WAYS, Migration, MigrationState, MigrationStep, Note, can_roll_back
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import CurrentVisitor, require_admin_visitor

router = APIRouter(prefix="/admin/migration", include_in_schema=False, dependencies=[Depends(require_admin_visitor)])
STATES: Final[Mapping[MigrationState, tuple[str, str, str]]] = {
    MigrationState.WAITING: ("Waiting", "quiet", "The old system serves this user. Nothing was done yet."),
    MigrationState.MOVING: ("On the way", "busy", "The move is under way."),
    MigrationState.RETURNING: ("Going back", "busy", "Something went wrong, and the old service is being started again."),
    MigrationState.RETURNED: ("Went back", "bad", "The old system serves this user as before. The next run tries again."),
    MigrationState.SOAKING: ("Being watched", "good", "The new platform serves this user, and the run watches whether all is well."),
    MigrationState.DONE: ("Moved", "good", "The new platform serves this user."),
    MigrationState.ROLLING_BACK: ("Rolling back", "busy", "The newer state is being carried to the old service."),
    MigrationState.ROLLED_BACK: ("Rolled back", "quiet", "The old system serves this user, with what was written meanwhile."),
}
"""For each state: its name, its tone, and what it means."""
STEPS: Final[Mapping[MigrationStep, str]] = {
    MigrationStep.PREFLIGHT: "Check versions, key, state and room",
    MigrationStep.ACCOUNT: "Find or create the account",
    MigrationStep.INSTANCE: "Create the instance",
    MigrationStep.CREDENTIALS: "Copy the credentials to the vault",
    MigrationStep.FIRST_COPY: "Copy the state while the old service runs",
    MigrationStep.REMEMBER: "Note how the old service and its address are",
    MigrationStep.LOAD: "Load the new gateway",
    MigrationStep.HOLD: "Show the waiting page",
    MigrationStep.STOP: "Stop the old service",
    MigrationStep.DIFFERENCE: "Copy what changed, and verify all of it",
    MigrationStep.START: "Start the new gateway on the state",
    MigrationStep.CHANNELS: "Hand over the bots",
    MigrationStep.PROBE: "Check the new address",
    MigrationStep.SWITCH: "Lead the old address to the new one",
    MigrationStep.SOAK: "Watch whether all is well",
    MigrationStep.CARRY_BACK: "Carry the newer state back",
    MigrationStep.REMOVE: "Remove the new instance",
    MigrationStep.REVIVE: "Start the old service",
    MigrationStep.RELEASE: "Lead the old address to the old service",
}
GROUPS: Final = (
    ("Moved", frozenset({MigrationState.DONE, MigrationState.SOAKING})),
    ("On the way", frozenset({MigrationState.MOVING, MigrationState.RETURNING, MigrationState.ROLLING_BACK})),
    ("Went back", frozenset({MigrationState.RETURNED, MigrationState.ROLLED_BACK})),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One user, as the page shows them."""

    migration: Migration
    word: str
    tone: str
    meaning: str
    step: str | None
    """What is done next, or now."""
    number: int
    """Which of how many steps that is."""
    of: int
    back_until: float | None
    """Until when an operator can go back; None where that is over or there is nothing to go back from."""
    notes: tuple[tuple[str, Note], ...]
    """The newest attempts at steps, newest first."""


@router.get("")
async def migration_page(request: Request, visitor: CurrentVisitor) -> Response:
    """All users whose move was begun."""
    migrations = web_of(request).services.migrations
    found = await migrations.list(visitor.actor)
    groups = [(name, sum(each.state in states for each in found)) for name, states in GROUPS]
    return render(request, "admin_migration.html", rows=_rows(found, migrations.now), groups=groups)


def _rows(found: Sequence[Migration], now: float) -> list[Row]:
    return [_row(each, now) for each in found]


def _row(migration: Migration, now: float) -> Row:
    word, tone, meaning = STATES[migration.state]
    way, step = WAYS.get(migration.state, ()), migration.step
    until = (migration.switched_at or 0.0) + ROLLBACK_SECONDS if can_roll_back(migration, now) else None
    notes = tuple((STEPS[note.step], note) for note in reversed(migration.notes))
    number = way.index(step) + 1 if step in way else 0
    return Row(migration, word, tone, meaning, STEPS[step] if step else None, number, len(way), until, notes)
