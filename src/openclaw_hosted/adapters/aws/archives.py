"""Archives of what running instances hold: made by their machine, through a bucket, streamed from there (decision 103).

The machine packs databases as they are at one moment, and everything else as it comes, and uploads that. The control plane reads it range
by range, at the pace of whoever downloads, and makes the archive of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import IO, Final, cast

import httpx

from openclaw_hosted.adapters.aws.bucket import TIMEOUT, Bucket, Passage
from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.local.backup.archive import writing_to
from openclaw_hosted.adapters.local.backup.sent import write_sent
from openclaw_hosted.adapters.local.backup.streaming import streamed
from openclaw_hosted.adapters.local.backup.volume import Kept
from openclaw_hosted.adapters.local.beneath import remove_tree
from openclaw_hosted.domain.errors import StateConflict, Unavailable
from openclaw_hosted.domain.naming import InstanceId

MOST_BYTES: Final = 4 << 30
"""Of an instance. A machine has to have room for it on its own disk, and one upload takes no more than 5 GiB."""
RANGE_BYTES: Final = 4 << 20
TRIES: Final = 3
LEFT_SECONDS: Final = 86400.0
"""After so long, what is in the work folder was left there by a crash."""


class AwsArchives:
    """Those of one deployment; of each instance one at a time."""

    def __init__(self, commands: RunCommand, passage: Passage, work: Path) -> None:
        """`work` is a folder of the control plane's disk for one database of each archive at a time."""
        self._commands = commands
        self._passage = passage
        self._work = work
        self._going: set[InstanceId] = set()

    async def of(self, instance_id: InstanceId, provider_ref: str, volume_ref: str) -> AsyncIterator[bytes]:
        """The archive, once the machine has sent what it has. Raises `StateConflict` while another one is read, and any `PortError` of
        machine and bucket."""
        if instance_id in self._going:
            raise StateConflict("An archive of this instance is being downloaded. Wait until it is there, and try again.")
        stream = self._made(instance_id, provider_ref, volume_ref)
        await anext(stream)
        return stream

    async def _made(self, instance_id: InstanceId, provider_ref: str, volume_ref: str) -> AsyncIterator[bytes]:
        """First an empty piece: whatever becomes of this iterator from then on, it cleans up."""
        self._going.add(instance_id)
        try:
            async with self._passage.object(instance_id) as key:
                async with self._passage.told(instance_id, provider_ref, "put_object", key) as secret:
                    said = await self._commands.run_states(provider_ref, "archive", instance=instance_id, volume=volume_ref, secret=secret)
                size = int(said.fields().get("size", "0"))
                if not 0 < size <= MOST_BYTES:
                    raise Unavailable("The machine did not say what it sent.")
                yield b""
                async with aclosing(streamed(lambda target, kept: self._write(target, key, size, kept))) as pieces:
                    async for piece in pieces:
                        yield piece
        finally:
            self._going.discard(instance_id)

    def _write(self, target: IO[bytes], key: str, size: int, kept: Kept) -> None:
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._work.iterdir():
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                remove_tree(left)
        with tempfile.TemporaryDirectory(dir=self._work) as scratch, _Sent(self._passage.bucket, key, size) as source:
            write_sent(writing_to(target, kept.check), cast("IO[bytes]", source), MOST_BYTES, Path(scratch), kept)


class _Sent:
    """An object to be read once, from its begin to its end."""

    def __init__(self, bucket: Bucket, key: str, size: int) -> None:
        self._bucket = bucket
        self._key = key
        self._size = size
        self._at = 0
        self._have = memoryview(b"")
        self._address: str | None = None
        self._client = httpx.Client(timeout=TIMEOUT)

    def __enter__(self) -> _Sent:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(self, wanted: int) -> bytes:
        """The next bytes. Raises `Unavailable` where the bucket does not give them."""
        given = bytearray()
        while len(given) < wanted and (self._have or self._at < self._size):
            if not self._have:
                self._have = memoryview(self._next())
            part = self._have[: wanted - len(given)]
            given += part
            self._have = self._have[len(part) :]
        return bytes(given)

    def _next(self) -> bytes:
        """A range of its own request: a reader may be so slow that an address or a connection ends meanwhile."""
        last = min(self._at + RANGE_BYTES, self._size) - 1
        why = ""
        for _ in range(TRIES):
            self._address = self._address or self._bucket.address("get_object", self._key)
            try:
                answer = self._client.get(self._address, headers={"Range": f"bytes={self._at}-{last}"})
            except httpx.HTTPError as problem:
                why = type(problem).__name__
                continue
            if answer.is_success and len(answer.content) == last + 1 - self._at:
                self._at = last + 1
                return answer.content
            why, self._address = f"it answered {answer.status_code}", None
        raise self._bucket.unavailable(why)
