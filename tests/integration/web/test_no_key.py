"""A model on one's own network that takes no key."""

from __future__ import annotations

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.gateway import NO_KEY, Credential, GatewaySettings, ModelProvider, decode_change
from openclaw_hosted.domain.naming import InstanceId
from tests.integration.web.conftest import SECRET_KEY, World
from tests.integration.web.test_keytester import KEY, Owner, owner

__all__ = ["owner"]
ADDRESS = {"provider": "compatible", "base_url": "http://192.168.1.7:11434/v1", "model": "llama"}


async def sealed(world: World, instance_id: str) -> dict[Credential, str]:
    """The credentials that wait for the vault."""
    waiting = await world.store.instances.sealed_credentials(InstanceId(instance_id))
    assert waiting is not None
    return dict(decode_change(world.edge.unseal(waiting[1], instance_id)).apply_to({Credential.MODEL_API_KEY: SECRET_KEY}))


async def test_an_instance_is_made_without_a_key(world: World, ada: User) -> None:
    async with world.browser(ada) as browser, world.api(ada) as api:
        instance_id = await browser.create("A", **ADDRESS)
        made = await api.post("/instances", json={"name": "B", "settings": ADDRESS})
        assert made.status_code == 202, made.text
    for each in (instance_id, made.json()["id"]):
        assert await sealed(world, each) == {Credential.MODEL_API_KEY: NO_KEY}
        assert (await world.row(each)).credential_names == frozenset()


async def test_an_earlier_key_is_never_sent_to_an_address_without_one(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create("A", provider="openai", modelApiKey=SECRET_KEY)
        path = f"/instances/{instance_id}/settings"
        assert (await browser.post(path, name="A", **ADDRESS)).status_code == 303
        assert (await world.row(instance_id)).credential_names == frozenset()
        assert await sealed(world, instance_id) == {Credential.MODEL_API_KEY: NO_KEY}
        assert (await browser.post(path, name="Other", **ADDRESS)).status_code == 303
        assert (await browser.post(path, name="A", provider="openai")).status_code == 422


async def test_trying_an_address_says_whether_it_needs_a_key(owner: Owner) -> None:
    tester = owner.tester()
    open_to_all = GatewaySettings(ModelProvider.COMPATIBLE, "model-a", f"http://127.0.0.1:{owner.port}/{KEY}")
    guarded = GatewaySettings(ModelProvider.COMPATIBLE, "model-a", f"http://127.0.0.1:{owner.port}/v1")
    for credentials in ({}, {Credential.MODEL_API_KEY: "sk-any"}):
        report = await tester.try_model_key(open_to_all, credentials)
        assert (report.ok, report.message) == (True, "This address answers and needs no key.")
    without = await tester.try_model_key(guarded, {})
    assert (without.ok, "wants a key" in without.message) == (False, True)
    given = await tester.try_model_key(guarded, {Credential.MODEL_API_KEY: KEY})
    assert (given.ok, given.message) == (True, "This address answers and takes the key.")
