"""`Carrier` to EC2 machines: through a bucket (`bucket.py`), from which each machine fetches its parcels itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from openclaw_hosted.adapters.aws.bucket import BLOCK_BYTES, TIMEOUT, Passage, digest_of
from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.aws.volumes import AwsVolumes
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.ports.legacy import Arrival


class AwsCarrier:
    """The carrier of one deployment."""

    def __init__(self, commands: RunCommand, volumes: AwsVolumes, passage: Passage) -> None:
        self._commands = commands
        self._volumes = volumes
        self._passage = passage

    async def deliver(self, arrival: Arrival, parcel: Path, *, whole: bool, last: bool) -> None:
        async with self._passage.object(arrival.instance_id) as key:
            await self._passage.bucket.put_file(key, parcel)
            async with self._passage.told(arrival.instance_id, arrival.seat.provider_ref, "get_object", key) as secret:
                await self._run(
                    arrival, "deliver", mark=arrival.mark, secret=secret, sum=await asyncio.to_thread(digest_of, parcel),
                    whole=int(whole), last=int(last),
                )  # fmt: skip

    async def install(self, arrival: Arrival) -> None:
        await self._run(arrival, "install", mark=arrival.mark)

    async def fetch(self, arrival: Arrival, parcel: Path) -> None:
        async with self._passage.object(arrival.instance_id) as key:
            async with self._passage.told(arrival.instance_id, arrival.seat.provider_ref, "put_object", key) as secret:
                said = (await self._run(arrival, "fetch", secret=secret)).get("sum")
            await self._get(key, parcel)
            if await asyncio.to_thread(digest_of, parcel) != said:
                raise Conflict("What arrived of the new gateway's state is not what its machine sent.")

    async def _run(self, arrival: Arrival, verb: str, **arguments: str | int) -> dict[str, str]:
        volume = await self._volumes.existing(arrival.volume_id)
        ref = arrival.seat.provider_ref
        return (await self._commands.run_states(ref, verb, instance=arrival.instance_id, volume=volume.ref, **arguments)).fields()

    async def _get(self, key: str, parcel: Path) -> None:
        address = await self._passage.bucket.signed("get_object", key)
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT) as client, client.stream("GET", address) as answer:
                self._passage.bucket.check(answer)
                with parcel.open("wb") as made:
                    async for block in answer.aiter_bytes(BLOCK_BYTES):
                        await asyncio.to_thread(made.write, block)
        except httpx.HTTPError as problem:
            raise self._passage.bucket.unavailable(type(problem).__name__) from None
