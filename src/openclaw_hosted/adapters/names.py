"""Host names, asked of this computer's resolver."""

from __future__ import annotations

import asyncio
import socket

from openclaw_hosted.domain.errors import Unavailable


class SystemNames:
    """`Names` of this computer."""

    async def resolves(self, host: str) -> bool:
        try:
            return bool(await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise Unavailable(f"The name server does not answer for {host}.") from error
            return False
