"""Origins are compared as browsers compare them."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.cookies import session_cookies
from openclaw_hosted.domain.origins import is_from_here, origin_of


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


HERE = "https://Claw.Example.com"


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        ("https://claw.example.com", "claw.example.com", True),
        ("https://claw.example.com", "10.0.0.7:8080", True),
        ("https://claw.example.com:443", "10.0.0.7:8080", True),
        ("http://localhost:8080", "localhost:8080", True),
        ("http://127.0.0.1", "127.0.0.1:80", True),
        ("https://claw.example.com:444", "claw.example.com:444", True),
        ("http://claw.example.com", "claw.example.com", False),
        ("https://claw.example.com:444", "claw.example.com", False),
        ("http://localhost:8080", "localhost:8081", False),
        ("https://evil.example", "claw.example.com", False),
        ("https://claw.example.com.evil.example", "claw.example.com", False),
        ("null", "claw.example.com", False),
        ("", "", False),
    ],
)
def test_a_request_is_from_here_by_the_address_or_by_the_host_asked_for(origin: str, host: str, expected: bool) -> None:
    assert is_from_here(origin, HERE, host) is expected


def test_over_https_only_a_cookie_with_the_prefix_counts() -> None:
    assert session_cookies("ab12", secure=True) == ("__Host-ochs-ab12", "__Host-ochs")
    assert session_cookies("ab12", secure=False) == ("ochs-ab12", "ochs")
    assert session_cookies("", secure=False) == ("ochs",)
