"""How far away an address is that a user gives, in whatever form, and what it may look like."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.addresses import LocalModel, Zone, is_model_address, parse_local_model, place_of, zone_of

NOWHERE = (
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.9", "224.0.0.1", "240.0.0.1",  # noqa: S104 - none of them is listened on
    "255.255.255.255", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "2001:db8::1",
)  # fmt: skip
DISGUISED = (
    "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b:1::a9fe:a9fe", "64:ff9b::168.63.129.16", "2002:a9fe:a9fe::", "2002:7f00:1::1", "2002:a00:1::1",
    "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fd00::5efe:10.0.0.1", "2600::200:5efe:169.254.169.254",
)  # fmt: skip


@pytest.mark.parametrize("number", [*NOWHERE, *DISGUISED])
def test_no_request_leads_to_metadata_or_to_an_address_in_disguise(number: str) -> None:
    assert zone_of(number) is Zone.NOWHERE


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("127.0.0.1", Zone.COMPUTER),
        ("127.9.9.9", Zone.COMPUTER),
        ("::1", Zone.COMPUTER),
        ("::ffff:127.0.0.1", Zone.COMPUTER),
        ("10.1.2.3", Zone.NETWORK),
        ("172.31.0.1", Zone.NETWORK),
        ("192.168.1.7", Zone.NETWORK),
        ("::ffff:192.168.1.7", Zone.NETWORK),
        ("100.101.102.103", Zone.NETWORK),
        ("fd7a:115c:a1e0::1", Zone.NETWORK),
        ("1.1.1.1", Zone.INTERNET),
        ("172.32.0.1", Zone.INTERNET),
        ("2606:4700::1111", Zone.INTERNET),
        ("64:ff9b::1.1.1.1", Zone.INTERNET),
    ],
)
def test_numbers_are_as_far_away_as_they_lead(number: str, zone: Zone) -> None:
    assert zone_of(number) is zone


@pytest.mark.parametrize(
    "address",
    [
        "https://models.example.com/v1",
        "http://192.168.1.7:11434/v1/",
        "http://[fd00::7]:8000",
        "https://gateway.example.com/v1/account/my-gateway/compat",
        "https://host.example.com/projects/p/endpoints/openapi@latest:x",
        "http://xn--bcher-kva.example/v1",
    ],
)
def test_an_address_of_an_api_is_taken(address: str) -> None:
    assert is_model_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "", "models.example.com/v1", "ftp://models.example.com", "http://", "http://a@models.example.com", "http://models.example.com:0",
        "http://models.example.com:99999", "http://models.example.com/v1?key=x", "http://models.example.com/v1?", "http://h.example/#",
        "http://h.example/v1/../admin", "http://h.example/./v1", "http://h.example/v1/..", "http://h.example/%2e%2e/x", "http://h.example//x",
        "http://h.example/a b", "http://h.example/\\x", "http://h.example/v1;x=1", "http://h.example/" + "a" * 2048, "http://127.1/v1",
        "http://2130706433/v1", "http://0x7f000001/v1", "http://0x7f.1/v1", "http://0177.0.0.1/v1", "http://0/v1",
    ],
)  # fmt: skip
def test_an_address_has_no_query_and_no_path_that_becomes_another(address: str) -> None:
    assert not is_model_address(address)


@pytest.mark.parametrize("word", ["127.0.0.1:11434", "localhost:11434", "LOCALHOST:11434", "[::1]:11434", "127.0.0.9:11434"])
def test_this_computer_is_one_however_it_is_written(word: str) -> None:
    model = parse_local_model(word)
    assert model == LocalModel("127.0.0.1", 11434) == place_of(f"http://{word}/v1")
    assert model.is_on_this_computer


def test_other_servers_are_named_as_written() -> None:
    assert str(parse_local_model("GPU.lan:8000")) == "gpu.lan:8000"
    assert str(parse_local_model("[FD00::0:7]:8000")) == "[fd00::7]:8000"
    assert not parse_local_model("192.168.1.7:8000").is_on_this_computer


@pytest.mark.parametrize(
    "word",
    ["", "ollama", "11434", "http://127.0.0.1:11434", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "a b:1", "h:1/x", "127.1:80", "*:80"],
)
def test_what_names_no_server_is_told_how_to(word: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_local_model(word)


@pytest.mark.parametrize("word", ["169.254.169.254:80", "0.0.0.0:11434", "[fe80::1]:80"])
def test_no_operator_opens_the_way_to_metadata(word: str) -> None:
    with pytest.raises(ValueError, match="no request may lead"):
        parse_local_model(word)
