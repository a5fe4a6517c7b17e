"""A control plane works only on what belongs to its own database."""

from __future__ import annotations

from typing import Final

from openclaw_hosted.domain.adoption import UNDER_WAY
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.ports.ownership import Ownership

WAY_OUT: Final = (
    "What exists at the provider belongs to another database (platform {theirs}; this one is {ours}), so nothing is touched. "
    "See that DATABASE_URL, DEPLOYMENT_NAME and the data directory belong together. If that database is lost for good, "
    "rebuild it from what exists: openclaw-hosted adopt --dry-run. Or give all that up, and set TAKE_OVER={theirs} for one start."
)


UNFINISHED: Final = (
    "The adoption of platform {theirs} into this database was not finished, so no control plane starts on it. "
    "Run it again: openclaw-hosted adopt --platform {theirs}"
)


async def claim(ownership: Ownership, mark: str, take_over: str | None) -> None:
    """Claim what nobody has claimed yet, or what the operator says is to be taken over. Raises `StateConflict` where it is another's."""
    if mark.startswith(UNDER_WAY):
        raise StateConflict(UNFINISHED.format(theirs=mark.removeprefix(UNDER_WAY)))
    theirs = await ownership.owner()
    if theirs not in (None, mark, take_over):
        raise StateConflict(WAY_OUT.format(theirs=theirs, ours=mark))
    if theirs != mark:
        await ownership.claim(mark)
