"""What a gateway takes over of the platform's environment."""

from __future__ import annotations

import pytest

from openclaw_hosted.adapters.local.environment import passed_on

PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"])
def test_proxies_reach_gateways(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, PROXY)
    assert passed_on()[name] == PROXY


def test_what_the_operator_has_reached_directly_is_joined_with_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "models.local, 10.0.0.0/8,localhost")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,ollama.local")
    assert passed_on()["NO_PROXY"] == passed_on()["no_proxy"] == "127.0.0.1,localhost,::1,models.local,10.0.0.0/8,ollama.local"


def test_secrets_of_the_platform_reach_no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENCLAW_HOSTED_ADMIN_PASSWORD", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in passed_on().values()
