"""The OpenClaw on a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from openclaw_hosted.domain.gateway import CredentialsChange, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.usage import DayOfUse

PREPARE_SECONDS: Final = 20.0
"""What `Gateways.prepare` and `Gateways.stand_by` may take."""
STAND_BY_SECONDS: Final = 120.0
"""For so long a gateway stands by, from the last time that it was asked to."""


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """How a gateway is. `ready` means: it answers as itself, with its token and its base path."""

    running: bool
    ready: bool
    """Never true of one that is `stopping`."""
    stopping: bool = False
    """Whether what runs was told to end, and finishes its turn first."""
    instance_id: str | None = None
    """Whom it serves, as it says itself; None before it answers."""
    started_at: float | None = None
    """When what runs was started; tells it apart from what ran before."""
    restarts: int = 0
    exit_code: int | None = None
    """Of the last exit, if it has exited since it was started."""
    problem: str | None = None
    """In plain words, with credentials blotted out."""
    version: str | None = None
    outdated: bool = False
    """Its configuration names addresses of the platform that are no longer right; `apply` mends that."""
    claimed: bool | None = None
    """Whether it was opened to an owner, ever; None where that can't be told now."""
    stands_by: bool = False
    """Whether what runs waits for its state, as `stand_by` asked."""
    takes_credentials: bool = True
    """Whether `apply` can give it credentials that the vault does not have yet."""


@dataclass(frozen=True, slots=True)
class BootstrapTicket:
    """What lets one browser into a gateway, once. `token` is a credential: answer it to its owner only."""

    token: str
    expires_at: float

    def __repr__(self) -> str:
        return f"BootstrapTicket(expires_at={self.expires_at})"


@dataclass(frozen=True, slots=True)
class SenderRequest:
    """Somebody wrote to an instance's bot for the first time, and gets no answer until its owner approves."""

    id: str
    channel: str
    """As people call it, such as `Telegram`."""
    sender_id: str
    """Who that is on the channel; on Telegram a number."""
    sender_name: str
    """As the sender calls themselves, which may be anything; empty where the channel tells none."""
    asked_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Names:
    """What a gateway's page may call people, where its user gave no names there."""

    owner: str


@dataclass(frozen=True, slots=True)
class Seat:
    """A machine and whose gateway is on it, as its row says. Whoever calls makes it from a row that was just read: an adapter
    remembers neither, since another control plane may have changed both."""

    provider_ref: str
    instance_id: InstanceId
    """Whom the gateway serves, or is to serve: a spare its own reserved id."""
    generation: int = 0
    address: str | None = None
    """`host:port` of the gateway, once known."""


class Gateways(Protocol):
    """Runs gateways on machines. The machine itself fetches the credentials from the vault."""

    async def start(self, seat: Seat, spec: GatewaySpec) -> None:
        """Have the gateway of `spec` run: started if it is not, started anew if it serves another id. Does not wait for it.

        Raises `Conflict` when the volume holds another instance's data, or the machine has seen a later generation.
        """
        ...

    async def prepare(self, seat: Seat, spec: GatewaySpec) -> None:
        """Do beforehand what needs neither its volume, which another machine may still write, nor its credentials, so that `start` takes
        less: at the least, end what runs here for another id. Takes at most `PREPARE_SECONDS`. Does nothing where it serves `spec` already.
        """
        ...

    async def stand_by(self, seat: Seat) -> bool:
        """Have its gateway end, and what is to serve next be loaded and wait, with no file of its state open, until `restart`. Asked again
        within `STAND_BY_SECONDS`, it waits on; later `revive` has it begin. Returns False, and does nothing, where gateways can't be loaded
        ahead. Raises `Unavailable` where it is not loaded within `PREPARE_SECONDS`; ask again.
        """
        ...

    async def apply(self, seat: Seat, spec: GatewaySpec, given: CredentialsChange | None = None) -> None:
        """Bring the settings and credentials of `spec.revision` into force on a running gateway, without a restart where
        OpenClaw can; returns once they are in force. Does nothing for a revision that already is. A gateway that was a spare's
        until now lets its owner in from then on.

        The credentials are the vault's. With `given`, an empty change included, they are those that the gateway has and this change
        on top: nothing is read from the vault, and whoever asks puts them there afterwards and calls again without `given`, so that
        the machine has them at the gateway's next start.

        Raises `GatewayRejectedSettings` with what OpenClaw says.
        """
        ...

    async def restart(self, seat: Seat, *, at_once: bool = False) -> None:
        """Stop the gateway cleanly, letting a turn under way finish unless `at_once`, and start it again. Does not wait for it: from
        now on the gateway is not ready until another start of it is. Does nothing where it is `stopping`, unless `at_once`. One that
        stands by begins.
        """
        ...

    async def revive(self, seat: Seat) -> None:
        """Have the gateway that belongs on the machine run again, where it does not since the machine started anew, say. One that runs is
        left alone, and nothing is done where none belongs. Does not wait for it. Raises `NotFound` where its volume is gone.
        """
        ...

    async def suspend(self, seat: Seat, *, finish: bool = False) -> bool:
        """Have it begin no more turns, for two minutes from the last such call; returns whether none is under way, so that it writes
        nothing any more.

        A gateway that is at a turn goes on as before, unless it is to `finish`: then it begins no other, and is asked again. Raises
        `Unavailable` where it does not answer.
        """
        ...

    async def resume(self, seat: Seat) -> None:
        """Have it begin turns again. Does nothing where it does."""
        ...

    async def stop(self, seat: Seat, *, within_seconds: float | None = None) -> None:
        """Stop the gateway cleanly, letting a turn under way finish; after `within_seconds`, where that is given, by force. Does nothing
        where none runs."""
        ...

    async def status(self, seat: Seat) -> GatewayStatus:
        """How it is now. Proves identity by an authenticated call that only this instance's gateway can answer."""
        ...

    async def warm_up(self, seat: Seat) -> None:
        """Have it answer one turn from the echo model, and forget it, so that nothing is loaded lazily in the user's first turn."""
        ...

    async def keep_warm(self, seat: Seat) -> None:
        """Touch what the gateway lets go of when nobody asks for it. Cheap; leaves no trace that a user sees."""
        ...

    async def mint_bootstrap(self, seat: Seat, names: Names | None = None) -> BootstrapTicket:
        """A ticket that lets one browser in as the owner, to a page that says these names."""
        ...

    async def sender_requests(self, seat: Seat) -> Sequence[SenderRequest]:
        """Who waits to be approved, on all channels, the oldest first."""
        ...

    async def settle_sender(self, seat: Seat, request_id: str, *, approve: bool) -> None:
        """Answer this sender from now on, and tell them; or drop the request, so that they may ask again.

        Raises `NotFound` for a request that is gone.
        """
        ...

    async def usage(self, seat: Seat, days: int) -> Sequence[DayOfUse]:
        """What it used of its model in the newest `days`, the oldest first. Raises `Unavailable` where it does not say."""
        ...

    async def logs(self, seat: Seat, lines: int = 200) -> Sequence[str]:
        """The newest log lines, oldest first, with credentials blotted out."""
        ...

    async def find_lines(self, seats: Sequence[Seat], pattern: str, since: float) -> Mapping[InstanceId, Sequence[str]] | None:
        """Lines of these gateways that `pattern` matches and that were printed since then (seconds since the epoch), by instance, oldest
        first, with credentials blotted out, where one question tells it of all of them; None where each has to be asked for its `logs`.

        The pattern is a regular expression of letters, digits, `_`, `-`, `.`, `?`, `|` and sets in brackets. What is found is a hint:
        another machine may have written it, and lines may be missing. Raises `PortError` where it can't be told now.
        """
        ...
