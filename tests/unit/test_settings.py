"""Settings: what wins, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from openclaw_hosted import datadir
from openclaw_hosted.domain.addresses import LocalModel
from openclaw_hosted.settings import Settings, SettingsError, load_settings
from openclaw_hosted.settings_aws import MachineSettings
from openclaw_hosted.settings_operating import OperatingSettings

PAGES = "".join(path.read_text() for path in (Path(__file__).parents[2] / "docs").glob("*.md"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("POOL_SPARE_COUNT", "-1"),
        ("POOL_SPARE_COUNT", "51"),
        ("POOL_WARMTH", "lukewarm"),
        ("POOL_POLICY", "clever"),
        ("POOL_MISSED_SHARE", "0"),
        ("POOL_SPARE_MOST", "0"),
        ("FLEET_CAP", "0"),
        ("TRUSTED_PROXIES", "10.0.0.1, nginx"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("ALLOW_PRIVATE_WEBHOOKS", "perhaps"),
        ("ALLOW_LOCAL_MODELS", "ollama"),
        ("ALLOW_LOCAL_MODELS", "127.0.0.1:11434, http://127.0.0.1:1234"),
        ("ALLOW_LOCAL_MODELS", "169.254.169.254:80"),
        ("ALLOW_LOCAL_MODELS", "localhost:8080"),
        ("ALLOW_LOCAL_MODELS", "127.0.0.1:30000"),
        ("ALLOW_LOCAL_MODELS", "127.0.0.1:80"),
        ("RETENTION_DAYS", "-7"),
        ("PUBLIC_URL", "claw.example.com"),
        ("PUBLIC_URL", "https://claw.example.com/under"),
        ("OTHER_URLS", "http://claw.lan claw.example.com"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE_URL", "mysql://root:hunter2@db/claw"),
        ("OPENCLAW_HOSTED_ADMIN_PASSWORD", "hunter2 and more"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_repeated(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert variable in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("kind", [Settings, MachineSettings, OperatingSettings], ids=lambda kind: kind.__name__)
def test_each_setting_is_described_in_the_documents(kind: type[BaseSettings]) -> None:
    names = [field.alias or name.upper() for name, field in kind.model_fields.items()]
    assert [name for name in names if f"`{name}`" not in PAGES and f"`{name}=" not in PAGES] == []


def test_a_short_admin_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_EMAIL", "admin@example.com")
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_PASSWORD", "hunter2")
    with pytest.raises(SettingsError, match="OPENCLAW_HOSTED_ADMIN_PASSWORD: Use at least"):
        load_settings()


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings({"PORT": 9001}).address == "http://localhost:9001"
    assert load_settings({"PORT": None}).port == 9000


def test_settings_never_print_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://claw:hunter2@db/claw")
    assert "hunter2" not in repr(load_settings())


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"TLS": "yes"}, "TLS"),
        ({"TLS": "acme"}, "TLS=acme needs PUBLIC_URL=https://NAME"),
        ({"OTHER_URLS": "https://claw.lan"}, "OTHER_URLS: write them with http://"),
        ({"OTHER_URLS": "http://claw.lan", "PROVIDER": "aws"}, "OTHER_URLS is for one computer"),
        ({"OTHER_URLS": "https://claw.lan", "PUBLIC_URL": "https://claw.example.com", "TLS": "acme"}, "OTHER_URLS: TLS=acme"),
        ({"TLS": "internal", "PUBLIC_URL": "http://claw.lan"}, "needs PUBLIC_URL=https"),
        ({"TLS": "acme", "PUBLIC_URL": "https://192.0.2.7"}, "the world can resolve"),
        ({"TLS": "acme", "PUBLIC_URL": "https://claw.local"}, "the world can resolve"),
        ({"TLS": "acme", "PUBLIC_URL": "https://claw.example.com", "ACME_CA": "http://ca"}, "ACME_CA"),
        ({"TLS": "acme", "PUBLIC_URL": "https://claw.example.com", "PORT": "80"}, "HTTP_PORT and PORT are the same"),
    ],
)
def test_a_wrong_setting_of_https_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert reason in str(raised.value)


def test_trusted_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).trusted_proxies == ()
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1, 10.1.0.0/16 2001:db8::/48,")
    assert load_settings({}).trusted_proxies == ("127.0.0.1/32", "10.1.0.0/16", "2001:db8::/48")


def test_local_models_are_servers_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).local_models == ()
    monkeypatch.setenv("ALLOW_LOCAL_MODELS", "localhost:11434, 127.0.0.1:11434 GPU.lan:30000,")
    assert load_settings({}).local_models == (LocalModel("127.0.0.1", 11434), LocalModel("gpu.lan", 30000))


def test_commands_know_the_local_models_that_the_platform_was_started_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = {"OPENCLAW_HOSTED_DATA_DIR": tmp_path}
    datadir.prepare(tmp_path)
    monkeypatch.setenv("ALLOW_LOCAL_MODELS", "127.0.0.1:11434")
    datadir.remember(load_settings(arguments))
    monkeypatch.delenv("ALLOW_LOCAL_MODELS")
    assert datadir.as_started(load_settings(arguments)).local_models == (LocalModel("127.0.0.1", 11434),)


def test_the_platforms_own_ports_are_those_that_it_listens_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).ports == {8080}
    monkeypatch.setenv("DATABASE_URL", "postgresql://claw:hunter2@127.0.0.1/claw")
    monkeypatch.setenv("PUBLIC_URL", "https://claw.lan")
    assert load_settings({"TLS": "internal"}).ports == {443, 80, 5432}
