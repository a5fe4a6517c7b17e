"""Server-sent events: an instance as it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from fastapi.responses import StreamingResponse

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import LimitReached, NotFound
from openclaw_hosted.domain.instance import Instance, Step
from openclaw_hosted.services import InstanceService
from openclaw_hosted.services.instances import Departure
from openclaw_hosted.web.context import Web
from openclaw_hosted.web.rendering import is_settled

UNSETTLED_SECONDS: Final = 0.5
SETTLED_SECONDS: Final = 5.0
STREAMS_PER_USER: Final = 40
LOOKS_PER_STREAM: Final = 200
"""After so many looks a stream ends, and the browser comes again: a revoked session does not listen for long."""

Snapshot = tuple[Instance, Sequence[Step], Departure | None]


def sse(event: str, data: str) -> str:
    """One event on the wire."""
    lines = "\n".join(f"data: {line}" for line in data.splitlines())
    return f"event: {event}\n{lines}\n\n"


async def snapshot(instances: InstanceService, actor: Actor, instance_id: str) -> Snapshot:
    """An instance with its steps, and the machine that it leaves. Raises `NotFound`."""
    return (
        await instances.get(actor, instance_id),
        await instances.steps(actor, instance_id),
        await instances.departure(actor, instance_id),
    )


async def watch(
    instances: InstanceService, actor: Actor, first: Snapshot, show: Callable[[Snapshot], str], still_allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """`first` and then each change, put into words by `show`; a heartbeat while there is none."""
    yield sse("state", show(first))
    last = first
    for _ in range(LOOKS_PER_STREAM):
        await instances.wait_for_change(SETTLED_SECONDS if is_settled(last[0]) else UNSETTLED_SECONDS)
        if not await still_allowed():
            return
        try:
            now = await snapshot(instances, actor, last[0].id)
        except NotFound:
            return
        yield ": still here\n\n" if now == last else sse("state", show(now))
        last = now


def stream(web: Web, actor: Actor, events: AsyncIterator[str]) -> StreamingResponse:
    """Events as a response that proxies pass on at once. Raises `LimitReached` for a user who has very many open."""
    if web.streams[actor.id] >= STREAMS_PER_USER:
        raise LimitReached(f"You have {STREAMS_PER_USER} live views open. Close some, then reload.")
    return StreamingResponse(_counted(web, actor, events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _counted(web: Web, actor: Actor, events: AsyncIterator[str]) -> AsyncIterator[str]:
    web.streams[actor.id] += 1
    try:
        async for event in events:
            yield event
    finally:
        web.streams[actor.id] -= 1
        if not web.streams[actor.id]:
            del web.streams[actor.id]
