"""The contract of `Gateways`. Its tests are few, for a provider may take many seconds to start one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openclaw_hosted.domain.errors import Conflict, Denied, NotFound, Unavailable
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.ports.gateways import Seat
from tests.contract.provider.harness import ProviderHarness, eventually, ready_to_start
from tests.support.seats import seat


async def until_ready(harness: ProviderHarness, there: Seat) -> None:
    async def is_ready() -> bool:
        return (await harness.gateways.status(there)).ready

    await eventually(harness, is_ready)


class GatewaysContract:
    async def test_a_gateway_starts_serves_stops_and_starts_again(self, harness: ProviderHarness) -> None:
        ref, spec = await ready_to_start(harness)
        before = await harness.gateways.status(seat(ref, spec))
        assert (before.running, before.ready, before.instance_id) == (False, False, None)
        for _ in range(2):
            await harness.gateways.prepare(seat(ref, spec), spec)
        prepared = await harness.gateways.status(seat(ref, spec))
        assert (prepared.ready, prepared.instance_id) == (False, None)
        for _ in range(2):
            await harness.gateways.start(seat(ref, spec), spec)
        await until_ready(harness, seat(ref, spec))
        status = await harness.gateways.status(seat(ref, spec))
        assert (status.running, status.instance_id, status.problem) == (True, spec.instance_id, None)
        assert status.claimed is False

        await harness.gateways.warm_up(seat(ref, spec))
        await harness.gateways.keep_warm(seat(ref, spec))
        await harness.gateways.revive(seat(ref, spec))
        await harness.gateways.prepare(seat(ref, spec), spec)
        assert (await harness.gateways.status(seat(ref, spec))).started_at == status.started_at
        first, second = [await harness.gateways.mint_bootstrap(seat(ref, spec)) for _ in range(2)]
        assert first.token != second.token
        claimed = replace(spec, generation=1, revision=1)
        await harness.gateways.apply(seat(ref, claimed), claimed)
        assert (await harness.gateways.status(seat(ref, claimed))).claimed is True

        assert list(await harness.gateways.sender_requests(seat(ref, spec))) == []
        with pytest.raises(NotFound):
            await harness.gateways.settle_sender(seat(ref, spec), "unknown", approve=True)

        for _ in range(2):
            assert await harness.gateways.suspend(seat(ref, spec))
        for _ in range(2):
            await harness.gateways.resume(seat(ref, spec))
        assert await harness.gateways.suspend(seat(ref, spec), finish=True)
        await harness.gateways.resume(seat(ref, spec))

        token = (await harness.vault.get(spec.instance_id))[Credential.GATEWAY_TOKEN]
        assert not any(token in line for line in await harness.gateways.logs(seat(ref, spec)))
        found = await harness.gateways.find_lines([seat(ref, spec)], "[a-z]", 0.0)
        assert found is None or found.keys() <= {spec.instance_id}
        assert not any(token in line for lines in (found or {}).values() for line in lines)

        assert await harness.gateways.suspend(seat(ref, spec))
        for _ in range(2):
            await harness.gateways.stop(seat(ref, spec), within_seconds=20.0)
        with pytest.raises(Unavailable):
            await harness.gateways.suspend(seat(ref, spec))
        assert not (await harness.gateways.status(seat(ref, spec))).running
        await harness.gateways.start(seat(ref, spec), replace(spec, generation=1, revision=1))
        await until_ready(harness, seat(ref, spec))

    async def test_an_older_generation_is_refused(self, harness: ProviderHarness) -> None:
        ref, spec = await ready_to_start(harness)
        await harness.gateways.start(seat(ref, spec), replace(spec, generation=2))
        with pytest.raises(Conflict):
            await harness.gateways.start(seat(ref, spec), replace(spec, generation=1))

    async def test_a_volume_with_anothers_data_is_refused(self, harness: ProviderHarness) -> None:
        ref, spec = await ready_to_start(harness)
        await harness.volumes.mark(spec.volume_id, harness.ids.instance_id())
        with pytest.raises(Conflict):
            await harness.gateways.start(seat(ref, spec), spec)
        assert not (await harness.gateways.status(seat(ref, spec))).running

    async def test_credentials_that_are_not_granted_to_the_machine_are_not_read(self, harness: ProviderHarness) -> None:
        ref, spec = await ready_to_start(harness)
        await harness.vault.grant(spec.instance_id, harness.ids.machine_id())
        with pytest.raises(Denied):
            await harness.gateways.start(seat(ref, spec), spec)
        assert not (await harness.gateways.status(seat(ref, spec))).running

    async def test_a_missing_volume_is_not_made_up(self, harness: ProviderHarness) -> None:
        ref, spec = await ready_to_start(harness)
        with pytest.raises(NotFound):
            await harness.gateways.start(seat(ref, spec), replace(spec, volume_id=harness.ids.volume_id()))

    async def test_a_machine_that_does_not_exist_has_no_gateway(self, harness: ProviderHarness) -> None:
        with pytest.raises(NotFound):
            await harness.gateways.status(seat("mc-unknown2"))
        await harness.gateways.stop(seat("mc-unknown2"))


class RestartContract:
    async def test_reviving_starts_nothing_where_nothing_belongs_and_leaves_what_runs_alone(self, harness: ProviderHarness) -> None:
        ref, spec = await ready_to_start(harness)
        await harness.gateways.revive(seat(ref, spec))
        assert not (await harness.gateways.status(seat(ref, spec))).running
        await harness.gateways.start(seat(ref, spec), spec)
        await until_ready(harness, seat(ref, spec))
        before = await harness.gateways.status(seat(ref, spec))
        await harness.gateways.revive(seat(ref, spec))
        assert (await harness.gateways.status(seat(ref, spec))).started_at == before.started_at
        await harness.gateways.stop(seat(ref, spec))
        await harness.gateways.revive(seat(ref, spec))
        assert not (await harness.gateways.status(seat(ref, spec))).running
        with pytest.raises(NotFound):
            await harness.gateways.revive(seat("mc-unknown2"))

    async def test_one_that_stands_by_serves_nobody_until_it_is_restarted(self, harness: ProviderHarness) -> None:
        ref, spec = await ready_to_start(harness)
        assert not await harness.gateways.stand_by(seat(ref, spec))
        await harness.gateways.start(seat(ref, spec), spec)
        await until_ready(harness, seat(ref, spec))
        stands_by = await harness.gateways.stand_by(seat(ref, spec))
        assert await harness.gateways.stand_by(seat(ref, spec)) is stands_by
        await harness.gateways.revive(seat(ref, spec))
        status = await harness.gateways.status(seat(ref, spec))
        assert (status.stands_by, status.running, status.ready) == (stands_by, True, not stands_by)
        await harness.gateways.restart(seat(ref, spec))
        await until_ready(harness, seat(ref, spec))
        assert not (await harness.gateways.status(seat(ref, spec))).stands_by

    async def test_a_restarted_gateway_is_ready_again_only_once_it_was_started_anew(self, harness: ProviderHarness) -> None:
        ref, spec = await ready_to_start(harness)
        await harness.gateways.start(seat(ref, spec), spec)
        await until_ready(harness, seat(ref, spec))
        before = await harness.gateways.status(seat(ref, spec))
        assert before.started_at is not None
        await harness.gateways.restart(seat(ref, spec))

        async def is_ready() -> bool:
            status = await harness.gateways.status(seat(ref, spec))
            assert not status.ready or status.started_at != before.started_at
            assert not (status.ready and status.stopping)
            return status.ready

        await eventually(harness, is_ready)
