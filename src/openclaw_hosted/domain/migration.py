"""Out of an older system: how far each of its users has come, and which side serves them.

One row a user. Until the route is switched the old side is whole, and whatever goes wrong goes back to it by itself. After that the new
side serves, and only an operator goes back, with the newer state. Never do both run on one user's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.errors import IllegalTransition
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credentials, GatewaySettings
from openclaw_hosted.domain.naming import InstanceId, UserId

DAY_SECONDS: Final = 86_400.0
ROLLBACK_SECONDS: Final = 7 * DAY_SECONDS
"""For so long after the switch an operator can go back. As long as the platform keeps what was deleted."""
MOST_NOTES: Final = 60
"""The newest steps that a row remembers."""
NOTE_LENGTH: Final = 300


class Side(StrEnum):
    """Which system serves a user."""

    OLD = "old"
    NEW = "new"


class MigrationState(StrEnum):
    """How far a user has come."""

    WAITING = "waiting"
    """Nothing was done yet."""
    MOVING = "moving"
    """Steps are under way. The old side serves, or a page says that it will be a moment."""
    RETURNING = "returning"
    """Something went wrong before the switch: the old side is being brought back as it was."""
    RETURNED = "returned"
    """The old side serves as before; the reason is shown. It may be tried again."""
    SOAKING = "soaking"
    """The new side serves, and is watched."""
    DONE = "done"
    """The new side serves. An operator can still go back for a while."""
    ROLLING_BACK = "rolling_back"
    """An operator goes back: the newer state is carried to the old side."""
    ROLLED_BACK = "rolled_back"
    """The old side serves again, with what was written meanwhile. Moves again only when named."""


class MigrationEvent(StrEnum):
    """What can happen to a migration."""

    STARTED = "started"
    FAILED = "failed"
    BROUGHT_BACK = "brought_back"
    SWITCHED = "switched"
    SOAKED = "soaked"
    ROLLBACK_ASKED = "rollback_asked"


TRANSITIONS: Final[Mapping[tuple[MigrationState, MigrationEvent], MigrationState]] = {
    (MigrationState.WAITING, MigrationEvent.STARTED): MigrationState.MOVING,
    (MigrationState.RETURNED, MigrationEvent.STARTED): MigrationState.MOVING,
    (MigrationState.ROLLED_BACK, MigrationEvent.STARTED): MigrationState.MOVING,
    (MigrationState.MOVING, MigrationEvent.FAILED): MigrationState.RETURNING,
    (MigrationState.RETURNING, MigrationEvent.BROUGHT_BACK): MigrationState.RETURNED,
    (MigrationState.MOVING, MigrationEvent.SWITCHED): MigrationState.SOAKING,
    (MigrationState.SOAKING, MigrationEvent.SOAKED): MigrationState.DONE,
    (MigrationState.SOAKING, MigrationEvent.ROLLBACK_ASKED): MigrationState.ROLLING_BACK,
    (MigrationState.DONE, MigrationEvent.ROLLBACK_ASKED): MigrationState.ROLLING_BACK,
    (MigrationState.ROLLING_BACK, MigrationEvent.BROUGHT_BACK): MigrationState.ROLLED_BACK,
}

UNDER_WAY: Final = frozenset({MigrationState.MOVING, MigrationState.RETURNING, MigrationState.SOAKING, MigrationState.ROLLING_BACK})
"""`run` goes on with these first."""
STARTABLE: Final = frozenset({MigrationState.WAITING, MigrationState.RETURNED})
"""`run` takes these; one that was rolled back only by name."""


def next_state(state: MigrationState, event: MigrationEvent) -> MigrationState:
    """The state after `event`; raises `IllegalTransition` where the table has none."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"A migration that is {state} cannot take the event {event}.") from None


class MigrationStep(StrEnum):
    """The steps, in the order in which each way takes them."""

    PREFLIGHT = "preflight"
    ACCOUNT = "account"
    INSTANCE = "instance"
    CREDENTIALS = "credentials"
    FIRST_COPY = "first_copy"
    REMEMBER = "remember"
    """Write down how the old side is, so that it can be brought back exactly so."""
    LOAD = "load"
    """OpenClaw is loaded on the new side, where it can wait for its state."""
    HOLD = "hold"
    """The page that says that it will be a moment."""
    STOP = "stop"
    DIFFERENCE = "difference"
    START = "start"
    CHANNELS = "channels"
    PROBE = "probe"
    SWITCH = "switch"
    SOAK = "soak"
    CARRY_BACK = "carry_back"
    """The newer state to the old side; the new instance ends by it."""
    REMOVE = "remove"
    """The new instance is gone; what it kept can be brought back for a while."""
    REVIVE = "revive"
    RELEASE = "release"
    """The route as it was."""


FORWARD: Final = (
    MigrationStep.PREFLIGHT, MigrationStep.ACCOUNT, MigrationStep.INSTANCE, MigrationStep.CREDENTIALS, MigrationStep.FIRST_COPY,
    MigrationStep.REMEMBER, MigrationStep.LOAD, MigrationStep.HOLD, MigrationStep.STOP, MigrationStep.DIFFERENCE, MigrationStep.START,
    MigrationStep.CHANNELS, MigrationStep.PROBE, MigrationStep.SWITCH,
)  # fmt: skip
BACK: Final = (MigrationStep.REMOVE, MigrationStep.REVIVE, MigrationStep.RELEASE)
ROLLBACK: Final = (MigrationStep.HOLD, MigrationStep.CARRY_BACK, *BACK)
WAYS: Final[Mapping[MigrationState, tuple[MigrationStep, ...]]] = {
    MigrationState.MOVING: FORWARD,
    MigrationState.RETURNING: BACK,
    MigrationState.SOAKING: (MigrationStep.SOAK,),
    MigrationState.ROLLING_BACK: ROLLBACK,
}
OFFLINE: Final = frozenset(FORWARD[FORWARD.index(MigrationStep.HOLD) :])
"""Steps at which the user waits: none begins outside of the window."""


@dataclass(frozen=True, slots=True)
class OldState:
    """Where the older system keeps a user's state. `place` is the adapter's word for it, such as `fs-0a1b2c3d:/users/user-123`; empty
    where it keeps none beyond the task's own life."""

    place: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether there is anything to bring."""
        return bool(self.place)


@dataclass(frozen=True, slots=True)
class OldService:
    """One user's OpenClaw on the older system, as the mapping finds it. `problems` say what is missing, and how to mend it."""

    user: str
    """As the older system calls them, such as `user-123`."""
    ref: str
    email: str | None = None
    desired: int = 1
    """How many tasks it is to have."""
    secret: str | None = None
    state: OldState = OldState()
    route: str | None = None
    """What leads there, such as a rule's ARN."""
    path: str | None = None
    """The old address below the load balancer's, such as `/user-123`."""
    version: str | None = None
    drain_seconds: float = 0.0
    """For so long a connection that is open may keep it from being told to end."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OldSettings:
    """What a user's old service was set to. Credentials are in memory only; `ignored` names what has no place here."""

    settings: GatewaySettings = DEFAULT_SETTINGS
    credentials: Credentials = field(default_factory=dict, repr=False)
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """One attempt at one step. Times are seconds since the epoch; `ended_at` is None while it is under way."""

    step: MigrationStep
    started_at: float
    ended_at: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Migration:
    """One user's row. Times are seconds since the epoch."""

    user: str
    ref: str
    state: MigrationState = MigrationState.WAITING
    step: MigrationStep | None = None
    """The next one, of the way that the state has."""
    attempt: int = 0
    email: str | None = None
    owner_id: UserId | None = None
    instance_id: InstanceId | None = None
    desired: int | None = None
    """How many tasks the old service had before it was stopped."""
    route: str | None = None
    """How its route was before it was changed, in the adapter's words."""
    changed_at: float = 0.0
    held_at: float | None = None
    """When the user began to wait."""
    switched_at: float | None = None
    error: str | None = None
    """Why it is where it is: of one that goes back, why it does."""
    notes: tuple[Note, ...] = ()

    @property
    def trouble(self) -> str | None:
        """What keeps its last step from being done, or else why it is where it is."""
        return (self.notes[-1].error if self.notes and self.step is not None else None) or self.error

    @property
    def side(self) -> Side:
        """Which system serves the user, or will once the present steps are done."""
        new = (MigrationState.SOAKING, MigrationState.DONE)
        return Side.NEW if self.state in new else Side.OLD

    @property
    def offline_seconds(self) -> float | None:
        """For how long the user waited; None before the switch."""
        if self.switched_at is None or self.held_at is None:
            return None
        return self.switched_at - self.held_at


def start(migration: Migration, service: OldService, now: float) -> Migration:
    """Begin, or begin again with another instance."""
    begun = Migration(
        migration.user, service.ref, migration.state, attempt=migration.attempt + 1, email=service.email, notes=migration.notes
    )
    return _moved(begun, MigrationEvent.STARTED, now)


def begin_step(migration: Migration, now: float) -> Migration:
    """Its next step is tried."""
    if migration.step is None:
        raise IllegalTransition(f"A migration that is {migration.state} has no step to do.")
    notes = (*migration.notes, Note(migration.step, now))[-MOST_NOTES:]
    held_at = migration.held_at
    if migration.step is MigrationStep.HOLD and migration.state is MigrationState.MOVING and held_at is None:
        held_at = now
    return replace(migration, notes=notes, held_at=held_at)


def end_step(migration: Migration, now: float) -> Migration:
    """Its step is done; with the last one of its way, its state changes."""
    way = WAYS[migration.state]
    assert migration.step is not None
    done = replace(migration, notes=_ended(migration.notes, now, None))
    position = way.index(migration.step) + 1
    if position < len(way):
        return replace(done, step=way[position], changed_at=now)
    match migration.state:
        case MigrationState.MOVING:
            return _moved(replace(done, switched_at=now, error=None), MigrationEvent.SWITCHED, now)
        case MigrationState.SOAKING:
            return _moved(replace(done, error=None), MigrationEvent.SOAKED, now)
        case MigrationState.ROLLING_BACK:
            return _moved(replace(done, error=None), MigrationEvent.BROUGHT_BACK, now)
        case _:
            return _moved(done, MigrationEvent.BROUGHT_BACK, now)


def fail_step(migration: Migration, error: str, now: float) -> Migration:
    """Its step can't be done. Before the switch it goes back by itself; otherwise it stays where it is, and is tried again."""
    why = migration.error if migration.state is MigrationState.RETURNING and migration.error else error[:NOTE_LENGTH]
    noted = replace(migration, notes=_ended(migration.notes, now, error), error=why)
    return _moved(noted, MigrationEvent.FAILED, now) if migration.state is MigrationState.MOVING else noted


def ask_rollback(migration: Migration, now: float, *, rollback_seconds: float = ROLLBACK_SECONDS) -> Migration:
    """An operator wants the old side back. Raises `IllegalTransition` where the new one does not serve, or the time has passed."""
    asked = _moved(migration, MigrationEvent.ROLLBACK_ASKED, now)
    if not can_roll_back(migration, now, rollback_seconds=rollback_seconds):
        raise IllegalTransition("The time for going back has passed: the old system's state is too old.")
    return replace(asked, error=None)


def can_roll_back(migration: Migration, now: float, *, rollback_seconds: float = ROLLBACK_SECONDS) -> bool:
    """Whether an operator may still go back."""
    return migration.side is Side.NEW and migration.switched_at is not None and now < migration.switched_at + rollback_seconds


def _moved(migration: Migration, event: MigrationEvent, now: float) -> Migration:
    state = next_state(migration.state, event)
    way = WAYS.get(state)
    return replace(migration, state=state, step=way[0] if way else None, changed_at=now)


def _ended(notes: tuple[Note, ...], now: float, error: str | None) -> tuple[Note, ...]:
    return (*notes[:-1], replace(notes[-1], ended_at=now, error=error and error[:NOTE_LENGTH])) if notes else notes
