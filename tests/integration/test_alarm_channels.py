"""Alarms by e-mail, Telegram and webhook, against servers that stand in for theirs."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from openclaw_hosted.adapters.alarms_email import EmailChannel
from openclaw_hosted.adapters.alarms_telegram import TelegramChannel
from openclaw_hosted.adapters.alarms_webhook import WebhookChannel
from openclaw_hosted.adapters.outgoing import Own
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.adapters.webhooks import HttpWebhooks
from openclaw_hosted.bootstrap.alarms import alarm_channels, alarm_limits
from openclaw_hosted.choices import SettingsError
from openclaw_hosted.domain.alarms import ALARMS, AlarmNews, AlarmState, Told, news
from openclaw_hosted.domain.errors import Denied, Unavailable
from openclaw_hosted.ports.alarms import AlarmChannel
from openclaw_hosted.settings_operating import load_operating_settings
from tests.support.mail import MailServer
from tests.support.ports import free_port
from tests.support.receiver import receiving
from tests.support.serving import serving
from tests.support.telegram import Telegram

NEWS = AlarmNews("pool-depleted", Told.BEGAN, "pool-depleted began on https://claw.example.com", "No spare.\nWhat to do: …")
TOKEN = "4242:AAExampleTokenOfATestBot-0123456789abcd"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PASSWORD = "p@ss word/of-mail"
VARIABLES = (
    "ALARM_EMAIL", "ALARM_EMAIL_FROM", "SMTP_URL", "SMTP_CA_FILE", "ALARM_TELEGRAM_TOKEN", "ALARM_TELEGRAM_CHAT", "ALARM_TELEGRAM_API",
    "ALARM_WEBHOOK_URL", "ALARM_WEBHOOK_SECRET", "BUDGET_USD_PER_MONTH", "BUDGET_STOPS_CREATES", "LAUNCH_FAILURES_ALARM",
)  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of localhost, signed by itself, with its key in the same file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path_factory.mktemp("mail") / "server.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def channels_set_up(*, private: bool = False) -> Sequence[AlarmChannel]:
    return alarm_channels(load_operating_settings(), HttpWebhooks(Own(), allows_private=private), SystemClock())


def email(environment: pytest.MonkeyPatch, url: str, **more: str) -> EmailChannel:
    for name, value in {"SMTP_URL": url, "ALARM_EMAIL": "ops@example.com, night@example.com", **more}.items():
        environment.setenv(name, value)
    (channel,) = channels_set_up()
    assert isinstance(channel, EmailChannel)
    return channel


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_mail_goes_over_tls_with_the_password(environment: pytest.MonkeyPatch, certificate: Path, scheme: str) -> None:
    with serving(MailServer(certificate, implicit_tls=scheme == "smtps")) as server:
        url = f"{scheme}://ops:p%40ss%20word%2Fof-mail@localhost:{server.port}"
        await email(environment, url, SMTP_CA_FILE=str(certificate), ALARM_EMAIL_FROM="claw@example.com").tell(NEWS)
    (mail,) = server.received
    assert (mail.over_tls, mail.password, mail.sender) == (True, PASSWORD, "claw@example.com")
    assert mail.recipients == ("ops@example.com", "night@example.com")
    assert (mail.message["Subject"], mail.message.get_content().split()) == (NEWS.subject, NEWS.text.split())


async def test_no_password_goes_to_a_server_that_nobody_vouches_for(environment: pytest.MonkeyPatch, certificate: Path) -> None:
    with serving(MailServer(certificate)) as server, pytest.raises(Unavailable) as refused:
        await email(environment, f"smtp://ops:secret-of-mail@localhost:{server.port}").tell(NEWS)
    assert server.received == []
    assert "secret-of-mail" not in str(refused.value)


async def test_no_password_goes_without_tls_but_to_this_computer(environment: pytest.MonkeyPatch) -> None:
    with serving(MailServer()) as server:
        channel = email(environment, f"smtp://ops:secret-of-mail@localhost:{server.port}")
        await channel.tell(NEWS)
        assert [mail.password for mail in server.received] == ["secret-of-mail"]
        elsewhere = email(environment, f"smtp://ops:secret-of-mail@127.0.0.1.nip.example:{server.port}")
        object.__setattr__(elsewhere._mail._server, "host", "127.0.0.1")
        with pytest.raises(Denied, match="smtps://"):
            await elsewhere.tell(NEWS)
        assert len(server.received) == 1


@pytest.mark.parametrize(("reply", "error"), [("451 4.3.0 later", Unavailable), ("550 5.7.1 never", Denied)])
async def test_a_refusal_says_whether_it_may_pass(environment: pytest.MonkeyPatch, reply: str, error: type[Exception]) -> None:
    with serving(MailServer()) as server:
        server.refuse = reply
        with pytest.raises(error, match=reply[:3]):
            await email(environment, f"smtp://localhost:{server.port}").tell(NEWS)


async def test_a_mail_server_that_is_not_there_may_come(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="can't be used"):
        await email(environment, f"smtp://localhost:{free_port()}").tell(NEWS)


async def test_telegram_hears_it_by_the_operators_bot(environment: pytest.MonkeyPatch) -> None:
    with serving(Telegram()) as server:
        environment.setenv("ALARM_TELEGRAM_TOKEN", TOKEN)
        environment.setenv("ALARM_TELEGRAM_CHAT", "-100123")
        environment.setenv("ALARM_TELEGRAM_API", server.api_root)
        (channel,) = channels_set_up()
        assert isinstance(channel, TelegramChannel)
        await channel.tell(NEWS)
    assert server.sent == [(-100123, f"{NEWS.subject}\n\n{NEWS.text}")]


async def test_no_error_of_telegram_tells_the_token() -> None:
    with pytest.raises(Unavailable) as refused:
        await TelegramChannel(TOKEN, "1", f"http://127.0.0.1:{free_port()}").tell(NEWS)
    assert TOKEN not in f"{refused.value!r} {refused.value.__cause__!r}"


def webhook(environment: pytest.MonkeyPatch, url: str, *, private: bool = True) -> WebhookChannel:
    environment.setenv("ALARM_WEBHOOK_URL", url)
    environment.setenv("ALARM_WEBHOOK_SECRET", SECRET)
    (channel,) = channels_set_up(private=private)
    assert isinstance(channel, WebhookChannel)
    return channel


async def test_a_webhook_hears_what_began_and_what_ended_under_a_signature(environment: pytest.MonkeyPatch) -> None:
    alarm, at = ALARMS[0], {"began": "then", "ended": "later"}
    began = AlarmState(alarm.name, began_at=1_790_000_000.0, value=0.0, about="none")
    ended = replace(began, ended_at=1_790_000_600.0)
    with receiving() as receiver:
        channel = webhook(environment, receiver.url)
        for state, happened in ((began, Told.BEGAN), (began, Told.BEGAN), (ended, Told.ENDED)):
            await channel.tell(news(alarm, state, happened, "https://claw.example.com", at))
        await channel.tell(NEWS)
    assert receiver.types == ["alarm.began", "alarm.began", "alarm.ended", "alarm.test"]
    assert all(message.is_signed_with(SECRET) for message in receiver.got)
    first, again, last, _ = receiver.got
    assert first.id == again.id != last.id
    assert first.said["data"].items() >= {"alarm": "pool-depleted", "began_at": "2026-09-21T14:13:20+00:00", "ended_at": None}.items()
    assert first.said["data"]["runbook"] == alarm.runbook
    assert (last.said["timestamp"], last.said["data"]["ended_at"]) == ("2026-09-21T14:23:20+00:00",) * 2


@pytest.mark.parametrize(("status", "error"), [(500, Unavailable), (429, Unavailable), (401, Denied)])
async def test_a_refusal_of_a_webhook_says_whether_it_may_pass(
    environment: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    with receiving() as receiver:
        receiver.status = status
        with pytest.raises(error, match=str(status)) as refused:
            await webhook(environment, receiver.url).tell(NEWS)
    assert "to=me" not in str(refused.value)
    assert SECRET not in str(refused.value)


async def test_alarms_go_over_https_to_the_internet_only_unless_the_operator_allows_more(environment: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        with pytest.raises(SettingsError, match=r"ALARM_WEBHOOK_URL.*ALLOW_PRIVATE_WEBHOOKS"):
            webhook(environment, receiver.url, private=False)
        inside = webhook(environment, f"https://127.0.0.1:{receiver.port}/", private=False)
        with pytest.raises(Unavailable, match="internet only"):
            await inside.tell(NEWS)
    assert receiver.got == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ALARM_EMAIL": "ops@example.com"}, "SMTP_URL"),
        ({"ALARM_EMAIL": "not an address", "SMTP_URL": "smtp://localhost"}, "ops@example.com"),
        ({"SMTP_URL": "https://mail.example.com"}, "smtps://"),
        ({"SMTP_URL": "smtp://user:very-secret@:x"}, "smtps://"),
        ({"ALARM_TELEGRAM_TOKEN": TOKEN}, "ALARM_TELEGRAM_CHAT"),
        ({"ALARM_TELEGRAM_CHAT": "no chat", "ALARM_TELEGRAM_TOKEN": TOKEN}, "ALARM_TELEGRAM_CHAT"),
        ({"ALARM_WEBHOOK_URL": "https://hooks.example.com/very-secret"}, "ALARM_WEBHOOK_SECRET"),
        ({"ALARM_WEBHOOK_URL": "hooks.example.com/very-secret", "ALARM_WEBHOOK_SECRET": SECRET}, "ALARM_WEBHOOK_URL.*https://"),
        ({"ALARM_WEBHOOK_URL": "https://hooks.example.com", "ALARM_WEBHOOK_SECRET": "very-secret"}, "openssl rand"),
        ({"ALARM_WEBHOOK_URL": "https://hooks.example.com", "ALARM_WEBHOOK_SECRET": "whsec_c2hvcnQ="}, "24 to 64"),
        ({"BUDGET_STOPS_CREATES": "true"}, "BUDGET_USD_PER_MONTH"),
        ({"BUDGET_USD_PER_MONTH": "-3"}, "BUDGET_USD_PER_MONTH"),
    ],
)
def test_a_wrong_setting_is_named_with_the_way_out_and_no_secret(environment: pytest.MonkeyPatch, given: dict[str, str], said: str) -> None:
    for name, value in given.items():
        environment.setenv(name, value)
    with pytest.raises(SettingsError, match=said) as refused:
        load_operating_settings()
    assert TOKEN not in str(refused.value)
    assert "very-secret" not in str(refused.value)


def test_nobody_is_told_unless_it_is_set_up(environment: pytest.MonkeyPatch) -> None:
    assert channels_set_up() == []
    environment.setenv("BUDGET_USD_PER_MONTH", "83")
    environment.setenv("LAUNCH_FAILURES_ALARM", "5")
    limits = alarm_limits(load_operating_settings())
    assert (limits.budget_usd, limits.launch_failures) == (83, 5)
