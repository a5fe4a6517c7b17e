"""The contract of `Vault`."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.errors import Conflict, NotFound
from openclaw_hosted.domain.gateway import Channel, Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.record import InstanceRecord
from tests.contract.provider.harness import ProviderHarness

FIRST = {Credential.GATEWAY_TOKEN: "first-token"}
SECOND = {Credential.GATEWAY_TOKEN: "first-token", Credential.MODEL_API_KEY: "second-key"}
SETTINGS = GatewaySettings(ModelProvider.OPENAI, "gpt", None, frozenset({Channel.TELEGRAM}))
RECORD = InstanceRecord(UserId("us-ada"), "ada@example.com", "Ada’s “helper”", SETTINGS, 3, 2, 1_700_000_000.5)


class VaultContract:
    async def test_a_record_is_kept_beside_the_document_and_is_no_part_of_it(self, harness: ProviderHarness) -> None:
        instance_id = harness.ids.instance_id()
        await harness.vault.put(instance_id, FIRST, 1)
        assert (await harness.vault.look(instance_id)).record is None
        await harness.vault.put(instance_id, FIRST, 1, RECORD)
        await harness.vault.put(instance_id, SECOND, 2)
        found = await harness.vault.look(instance_id)
        assert (found.record, found.owner_id, found.revision, found.retired) == (RECORD, RECORD.owner_id, 2, False)
        assert found.names == frozenset(SECOND)
        assert dict(await harness.vault.get(instance_id, fresh=True)) == SECOND

    async def test_whose_a_retired_document_is_can_be_told(self, harness: ProviderHarness) -> None:
        instance_id = harness.ids.instance_id()
        await harness.vault.put(instance_id, FIRST, 1, RECORD)
        await harness.vault.retire(instance_id)
        found = await harness.vault.look(instance_id)
        assert (found.owner_id, found.retired) == (RECORD.owner_id, True)
        await harness.vault.restore(instance_id)
        assert (await harness.vault.look(instance_id)).record == RECORD

    async def test_there_is_nothing_to_look_at_where_nothing_was_put(self, harness: ProviderHarness) -> None:
        with pytest.raises(NotFound):
            await harness.vault.look(harness.ids.instance_id())

    async def test_what_is_put_is_got(self, harness: ProviderHarness) -> None:
        instance_id = harness.ids.instance_id()
        await harness.vault.put(instance_id, SECOND, 1)
        assert dict(await harness.vault.get(instance_id)) == SECOND
        assert list(await harness.vault.list()) == [instance_id]

    async def test_what_was_never_put_is_not_found(self, harness: ProviderHarness) -> None:
        with pytest.raises(NotFound):
            await harness.vault.get(harness.ids.instance_id())

    async def test_a_newer_revision_replaces_and_an_older_one_is_refused(self, harness: ProviderHarness) -> None:
        instance_id = harness.ids.instance_id()
        await harness.vault.put(instance_id, FIRST, 1)
        await harness.vault.put(instance_id, SECOND, 2)
        await harness.vault.put(instance_id, SECOND, 2)
        with pytest.raises(Conflict):
            await harness.vault.put(instance_id, FIRST, 1)
        assert dict(await harness.vault.get(instance_id)) == SECOND

    async def test_a_retired_document_is_unreadable_until_restored(self, harness: ProviderHarness) -> None:
        instance_id = harness.ids.instance_id()
        await harness.vault.put(instance_id, FIRST, 0)
        for _ in range(2):
            await harness.vault.retire(instance_id)
        with pytest.raises(NotFound):
            await harness.vault.get(instance_id)
        assert list(await harness.vault.list()) == [instance_id]
        for _ in range(2):
            await harness.vault.restore(instance_id)
        assert dict(await harness.vault.get(instance_id)) == FIRST

    async def test_a_purged_document_does_not_come_back(self, harness: ProviderHarness) -> None:
        instance_id = harness.ids.instance_id()
        await harness.vault.put(instance_id, FIRST, 0)
        for _ in range(2):
            await harness.vault.purge(instance_id)
        with pytest.raises(NotFound):
            await harness.vault.restore(instance_id)
        assert not await harness.vault.list()

    async def test_retiring_what_is_not_there_does_nothing(self, harness: ProviderHarness) -> None:
        await harness.vault.retire(harness.ids.instance_id())
        assert not await harness.vault.list()

    async def test_a_grant_may_be_repeated_and_moved(self, harness: ProviderHarness) -> None:
        instance_id = harness.ids.instance_id()
        await harness.vault.put(instance_id, FIRST, 0)
        for machine_id in (harness.ids.machine_id(), harness.ids.machine_id()):
            await harness.vault.grant(instance_id, machine_id)
            await harness.vault.grant(instance_id, machine_id)
        assert dict(await harness.vault.get(instance_id)) == FIRST
