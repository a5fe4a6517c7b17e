"""What a gateway takes over of the platform's environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.environment import certificate_files, passed_on

PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"])
def test_proxies_reach_gateways(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, PROXY)
    assert passed_on()[name] == PROXY


def test_what_the_operator_has_reached_directly_is_joined_with_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "models.local, 10.0.0.0/8,localhost")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,ollama.local")
    assert passed_on()["NO_PROXY"] == passed_on()["no_proxy"] == "127.0.0.1,localhost,::1,models.local,10.0.0.0/8,ollama.local"


@pytest.mark.parametrize("name", ["npm_config_registry", "NPM_CONFIG_REGISTRY", "NPM_CONFIG_HTTPS_PROXY", "PIP_INDEX_URL"])
def test_registries_reach_gateways(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "https://packages.example.com/")
    assert passed_on()[name] == "https://packages.example.com/"


def test_files_of_certificates_are_known_by_variable_where_they_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "own.pem").touch()
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(tmp_path / "own.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert certificate_files() == {"NODE_EXTRA_CA_CERTS": tmp_path / "own.pem"}


def test_secrets_of_the_platform_reach_no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENCLAW_HOSTED_ADMIN_PASSWORD", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "npm_config__auth", "NPM_TOKEN"):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in passed_on().values()
