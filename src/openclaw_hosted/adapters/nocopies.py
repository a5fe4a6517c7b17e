"""Where states can't be brought to."""

from __future__ import annotations

from typing import Final, NoReturn

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.migration import OldSettings, OldState
from openclaw_hosted.ports.legacy import Arrival, StateSize

WHY: Final = (
    "Nothing says how states come to machines on AWS. Name an S3 bucket of their region under `state.bucket` in the mapping, or "
    "`state.none: true` to move users without what they said."
)


class NoStateCopies:
    """`StateCopies` that says so before anything is begun."""

    async def check(self, state: OldState) -> StateSize:  # noqa: ARG002
        _refuse()

    async def with_keys(self, state: OldState, found: OldSettings) -> OldSettings:  # noqa: ARG002
        _refuse()

    async def bring(self, state: OldState, arrival: Arrival) -> StateSize:  # noqa: ARG002
        _refuse()

    async def settle(self, state: OldState, arrival: Arrival) -> None:  # noqa: ARG002
        _refuse()

    async def install(self, arrival: Arrival) -> None:  # noqa: ARG002
        _refuse()

    async def carry_back(self, arrival: Arrival, state: OldState) -> None:  # noqa: ARG002
        _refuse()


def _refuse() -> NoReturn:
    raise NotFound(WHY)
