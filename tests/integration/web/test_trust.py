"""The page by which a device comes to trust the platform's own authority."""

from __future__ import annotations

import httpx

from openclaw_hosted.domain.origins import Addresses
from openclaw_hosted.web import WebOptions, create_app
from openclaw_hosted.web.trust import fingerprint
from tests.integration.cli.test_https import a_certificate

from .conftest import World


def client_of(world: World, certificate: bytes | None) -> httpx.AsyncClient:
    options = WebOptions(Addresses("https://192.0.2.7"), True, None, "1", 7, world._readiness, authority=lambda: certificate)
    transport = httpx.ASGITransport(create_app(world.kit, options))
    return httpx.AsyncClient(transport=transport, base_url="http://192.0.2.7")


async def test_everyone_sees_the_steps_and_gets_the_certificate(world: World) -> None:
    certificate = a_certificate()
    async with client_of(world, certificate) as client:
        page = await client.get("/trust")
        assert page.status_code == 200
        for expected in (fingerprint(certificate), "/trust/root.crt", "https://192.0.2.7", "Certificate Trust Settings", "Android"):
            assert expected in page.text
        assert "Strict-Transport-Security" not in page.headers
        german = await client.get("/trust", headers={"Accept-Language": "de"})
        root = await client.get("/trust/root.crt")
    assert "Lade das Zertifikat herunter." in german.text
    assert "Settings ›" not in german.text
    assert (root.content, root.headers["content-type"]) == (certificate, "application/x-x509-ca-cert")


async def test_there_is_nothing_to_trust_without_an_authority(world: World) -> None:
    async with world.client() as client:
        assert (await client.get("/trust")).status_code == 404
    async with client_of(world, None) as client:
        assert (await client.get("/trust/root.crt")).status_code == 404
