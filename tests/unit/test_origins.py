"""Origins are compared as browsers compare them."""

from __future__ import annotations

import socket

import pytest

from openclaw_hosted.adapters.local.edge.own_numbers import is_own_number
from openclaw_hosted.bootstrap.edge import addresses as known_addresses
from openclaw_hosted.domain.cookies import session_cookies
from openclaw_hosted.domain.origins import Addresses, origin_of
from openclaw_hosted.settings import load_settings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://Claw.Example.com", "https://claw.example.com"),
        ("HTTPS://claw.example.com:443/", "https://claw.example.com"),
        ("http://claw.example.com:80", "http://claw.example.com"),
        ("https://claw.example.com.", "https://claw.example.com"),
        ("https://claw.example.com:8443", "https://claw.example.com:8443"),
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
    ],
)
def test_an_origin_is_written_as_a_browser_writes_it(written: str, meant: str) -> None:
    assert str(origin_of(written)) == meant


@pytest.mark.parametrize(
    "text", ["null", "", "claw.example.com", "https://", "https://a:b@c", "https://x:99999", "file:///x", "http://[::x]"]
)
def test_what_is_no_origin_is_none(text: str) -> None:
    assert origin_of(text) is None


OWN = {"192.168.1.20", "::1"}
LAPTOP = Addresses("http://localhost:8080", ("http://127.0.0.1:8080", "http://laptop.local:8080", "http://*:8080"), False, OWN.__contains__)
SERVER = Addresses("https://claw.example.com", ("https://claw.lan:8443",))


@pytest.mark.parametrize(
    ("addresses", "origin", "expected"),
    [
        (LAPTOP, "http://localhost:8080", True),
        (LAPTOP, "HTTP://LOCALHOST.:8080", True),
        (LAPTOP, "http://127.0.0.1:8080", True),
        (LAPTOP, "http://Laptop.local:8080", True),
        (LAPTOP, "http://192.168.1.20:8080", True),
        (LAPTOP, "http://[::1]:8080", True),
        (LAPTOP, "http://192.168.1.21:8080", False),
        (LAPTOP, "http://192.168.1.20", False),
        (LAPTOP, "http://192.168.1.20:8081", False),
        (LAPTOP, "https://192.168.1.20:8080", False),
        (LAPTOP, "http://*:8080", False),
        (LAPTOP, "http://evil.example:8080", False),
        (SERVER, "https://claw.example.com:443", True),
        (SERVER, "https://claw.lan:8443", True),
        (SERVER, "https://claw.lan", False),
        (SERVER, "https://claw.example.com:444", False),
        (SERVER, "http://claw.example.com", False),
        (SERVER, "https://192.168.1.20", False),
        (SERVER, "https://claw.example.com.evil.example", False),
        (SERVER, "null", False),
        (SERVER, "", False),
    ],
)
def test_a_page_is_the_platforms_own_at_the_addresses_that_it_knows(addresses: Addresses, origin: str, expected: bool) -> None:
    assert addresses.know(origin) is expected


@pytest.mark.parametrize(
    ("addresses", "host", "start"),
    [
        (LAPTOP, "127.0.0.1:8080", "http://127.0.0.1:8080"),
        (LAPTOP, "LAPTOP.local.:8080", "http://laptop.local:8080"),
        (LAPTOP, "192.168.1.20:8080", "http://192.168.1.20:8080"),
        (LAPTOP, "evil.example:8080", "http://localhost:8080"),
        (LAPTOP, "192.168.1.20:8080@evil.example", "http://localhost:8080"),
        (LAPTOP, "192.168.1.20:8080/x", "http://192.168.1.20:8080"),
        (LAPTOP, "*:8080", "http://localhost:8080"),
        (LAPTOP, "", "http://localhost:8080"),
        (SERVER, "claw.lan:8443", "https://claw.example.com"),
    ],
)
def test_a_link_names_the_address_that_it_is_asked_for_by_if_that_is_known(addresses: Addresses, host: str, start: str) -> None:
    assert addresses.for_links(host) == start


@pytest.mark.parametrize(
    ("settings", "public", "others"),
    [
        ({}, "http://localhost:8080", {"http://127.0.0.1:8080", "http://[::1]:8080"}),
        ({"HOST": "192.0.2.7"}, "http://192.0.2.7:8080", set()),
        ({"PUBLIC_URL": "https://claw.example.com"}, "https://claw.example.com", set()),
        ({"PUBLIC_URL": "https://claw.example.com", "TLS": "acme"}, "https://claw.example.com", set()),
        ({"OTHER_URLS": "http://Claw.lan:80, http://localhost:9000"}, "http://localhost:8080",
         {"http://claw.lan", "http://localhost:9000", "http://127.0.0.1:8080", "http://[::1]:8080"}),
    ],
)  # fmt: skip
def test_one_computer_is_reached_by_its_own_names(settings: dict[str, str], public: str, others: set[str]) -> None:
    found = known_addresses(load_settings(settings))
    assert (found.public, set(found.others)) == (public, others)


@pytest.mark.parametrize("settings", [{"HOST": "::"}, {"PUBLIC_URL": "https://192.0.2.7:8443", "TLS": "internal", "PORT": "8443"}])
def test_who_listens_everywhere_is_reached_by_host_name_and_by_each_number_of_the_computer(settings: dict[str, str]) -> None:
    found = known_addresses(load_settings(settings))
    scheme, port = found.public.partition(":")[0], found.public.rpartition(":")[2]
    name = socket.gethostname().partition(".")[0].lower()
    for host in ("localhost", "127.0.0.1", name, f"{name}.local"):
        assert found.know(f"{scheme}://{host}:{port}"), host
    assert not found.know(f"{scheme}://198.51.100.1:{port}")


def test_a_number_is_own_where_one_can_listen_on_it() -> None:
    assert is_own_number("127.0.0.1")
    assert not any(map(is_own_number, ("198.51.100.1", "::", "224.0.0.1", "localhost", "")))


def test_over_https_only_a_cookie_with_the_prefix_counts() -> None:
    assert session_cookies("ab12", secure=True) == ("__Host-ochs-ab12", "__Host-ochs")
    assert session_cookies("ab12", secure=False) == ("ochs-ab12", "ochs")
    assert session_cookies("", secure=False) == ("ochs",)
