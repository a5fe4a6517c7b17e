"""Letters to users."""

from __future__ import annotations

from typing import Protocol

from openclaw_hosted.domain.letters import Letter


class Mailer(Protocol):
    """Hands letters to a mail server."""

    async def send(self, letter: Letter) -> None:
        """Returns once the server has taken it. Raises `Unavailable` where that may succeed later, `Denied` where this letter or any is not
        taken; neither holds a credential."""
        ...
