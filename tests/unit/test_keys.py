"""Which model providers need a key, and what stands in for one where none is needed."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.gateway import (
    NO_KEY,
    Credential,
    CredentialsChange,
    GatewaySettings,
    ModelProvider,
    check_settings,
    with_stand_in,
)

KEY = Credential.MODEL_API_KEY
LOCAL = GatewaySettings(ModelProvider.COMPATIBLE, "llama", "http://192.168.1.7:11434/v1")


@pytest.mark.parametrize("provider", list(ModelProvider))
def test_all_providers_with_a_service_of_their_own_need_a_key(provider: ModelProvider) -> None:
    settings = LOCAL if provider is ModelProvider.COMPATIBLE else GatewaySettings(provider)
    if provider in (ModelProvider.ECHO, ModelProvider.COMPATIBLE):
        check_settings(settings, frozenset())
    else:
        with pytest.raises(InvalidInput, match="needs an API key"):
            check_settings(settings, frozenset())


def test_a_provider_without_a_key_gets_a_stand_in_that_replaces_an_earlier_key() -> None:
    taken = CredentialsChange({}, frozenset({KEY}))
    assert with_stand_in(taken, LOCAL, frozenset()).apply_to({KEY: "sk-old"}) == {KEY: NO_KEY}
    assert with_stand_in(CredentialsChange({KEY: "sk"}), LOCAL, frozenset({KEY})).set == {KEY: "sk"}
    for settings in (GatewaySettings(), GatewaySettings(ModelProvider.OPENAI)):
        assert with_stand_in(taken, settings, frozenset()) == taken
