"""Archives on their way to a browser or a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from fastapi.responses import StreamingResponse

from openclaw_hosted.web.language import instant

ARCHIVE_TYPE: Final = "application/gzip"


def archive_response(instance_id: str, archive: AsyncIterator[bytes], now: float) -> StreamingResponse:
    """An archive as a file to be kept, named after its instance and the day."""
    name = f"{instance_id}-{instant(now):%Y-%m-%d}.tar.gz"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
    return StreamingResponse(archive, media_type=ARCHIVE_TYPE, headers=headers)
