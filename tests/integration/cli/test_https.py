"""Settings of HTTPS, and the steps by which a device comes to trust the platform."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from openclaw_hosted.adapters.local.edge.tls import ROOT_CERTIFICATE
from openclaw_hosted.bootstrap import edge_tls
from openclaw_hosted.datadir import as_started, prepare, remember
from openclaw_hosted.settings import Tls, load_settings
from openclaw_hosted.web.trust import fingerprint
from tests.integration.cli.conftest import Cli


def a_certificate(begins_days_ago: float = 0, days: float = 1) -> bytes:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    begins = dt.datetime.now(dt.UTC) - dt.timedelta(days=begins_days_ago)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, begins + dt.timedelta(days=days))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def test_https_listens_where_browsers_ask_unless_told_otherwise(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLS", "ACME")
    monkeypatch.setenv("PUBLIC_URL", "https://claw.example.com")
    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": cli.data_dir})
    assert (settings.host, settings.port, settings.http_port) == ("0.0.0.0", 443, 80)  # noqa: S104 - it is asked for
    monkeypatch.setenv("HOST", "192.0.2.1")
    assert load_settings().host == "192.0.2.1"
    assert load_settings({"PORT": 8443}).port == 8443
    tls = edge_tls(settings)
    assert tls is not None
    assert (tls.internal, tls.name, tls.storage) == (False, "claw.example.com", cli.data_dir / "tls")
    assert edge_tls(load_settings({"TLS": "off"})) is None
    prepare(cli.data_dir)
    remember(settings)
    monkeypatch.delenv("TLS")
    monkeypatch.delenv("PUBLIC_URL")
    monkeypatch.delenv("HOST")
    beside = as_started(load_settings({"OPENCLAW_HOSTED_DATA_DIR": cli.data_dir}))
    assert (beside.tls, beside.address, beside.port) == (Tls.ACME, "https://claw.example.com", 443)


def test_trust_prints_the_address_the_certificate_and_the_steps(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = cli("trust")
    assert (nothing.code, "TLS=internal" in nothing.stderr) == (5, True)
    monkeypatch.setenv("TLS", "internal")
    monkeypatch.setenv("PUBLIC_URL", "https://192.0.2.7:8443")
    monkeypatch.setenv("HTTP_PORT", "8080")
    assert cli("trust").code == 3
    path, certificate = cli.data_dir / "tls" / ROOT_CERTIFICATE, a_certificate()
    path.parent.mkdir(parents=True)
    path.write_bytes(certificate)
    shown = cli("trust")
    assert shown.code == 0, shown.stderr
    for expected in ("http://192.0.2.7:8080/trust/root.crt", "https://192.0.2.7:8443", fingerprint(certificate), "iPhone", "Android"):
        assert expected in shown.stdout
    told = json.loads(cli("trust", "--json").stdout)
    assert (told["page"], told["pem"]) == ("http://192.0.2.7:8080/trust", certificate.decode())
    monkeypatch.setenv("HTTP_PORT", "0")
    assert cli("trust", "--json").json["page"] == "https://192.0.2.7:8443/trust"


def test_doctor_says_how_long_the_certificate_is_good(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert certificate_finding(cli) == ("ok", "none is needed: TLS=off")
    monkeypatch.setenv("TLS", "acme")
    monkeypatch.setenv("PUBLIC_URL", "https://claw.example.com:8443")
    assert certificate_finding(cli)[0] == "warning"
    folder = cli.data_dir / "tls" / "certificates" / "acme" / "claw.example.com"
    folder.mkdir(parents=True)
    for days_ago, verdict, said in ((91, "problem", "was good until"), (80, "warning", "was not renewed"), (10, "ok", "is renewed before")):
        (folder / "claw.example.com.crt").write_bytes(a_certificate(days_ago, 90))
        found = certificate_finding(cli)
        assert (found[0], said in found[1]) == (verdict, True), found
    other = cli.data_dir / "tls" / "certificates" / "acme" / "other.example.com"
    folder.rename(other)
    assert certificate_finding(cli)[0] == "warning"


def certificate_finding(cli: Cli) -> tuple[str, str]:
    found = next(each for each in json.loads(cli("doctor", "--json").stdout)["items"] if each["check"] == "certificate")
    return found["verdict"], found["message"]
