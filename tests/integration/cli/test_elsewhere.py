"""The command line and a platform elsewhere: signing in, contexts, and whatever the API has."""

from __future__ import annotations

import json
import select
import socket
import socketserver
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_hosted import contexts
from openclaw_hosted.cli.watching import new_lines
from tests.integration.cli.conftest import Cli
from tests.support.platform import ADMIN_EMAIL, RunningPlatform
from tests.support.serving import serving
from tests.support.web_only import web_only


class _Edge(socketserver.ThreadingTCPServer):
    """Has the platform's port lead to it, as its edge does."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, platform: RunningPlatform) -> None:
        self.inside = str(platform.data_dir / "run" / "web.sock")
        super().__init__(("127.0.0.1", platform.port), _Relay)


class _Relay(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Edge)
        with socket.socket(socket.AF_UNIX) as inside:
            inside.connect(self.server.inside)
            ends = {self.request: inside, inside: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with web_only(tmp_path_factory.mktemp("elsewhere") / "data", {}) as running, serving(_Edge(running)):
        yield running


def address(platform: RunningPlatform) -> str:
    return f"http://localhost:{platform.port}"


@pytest.fixture
def token(cli: Cli, platform: RunningPlatform) -> str:
    made = cli.bare("tokens", "create", "--json", "--data-dir", str(platform.data_dir))
    assert made.code == 0, made.stderr
    return str(made.json["token"])


@pytest.fixture
def signed_in(cli: Cli, platform: RunningPlatform, token: str) -> Cli:
    done = cli.bare("login", address(platform), "--name", "work", "--token-stdin", stdin=token + "\n")
    assert done.code == 0, done.stderr
    assert token not in done.stdout + done.stderr
    return cli


def test_after_signing_in_commands_work_on_that_platform(signed_in: Cli, platform: RunningPlatform) -> None:
    made = signed_in.bare("instances", "create", "From afar", "--json")
    assert made.code == 0, made.stderr
    there = signed_in.bare("instances", "ls", "--json", "--data-dir", str(platform.data_dir))
    assert made.json["id"] in [item["id"] for item in there.json["items"]]
    assert signed_in.bare("api", "get", "/me").json["email"] == ADMIN_EMAIL


def test_signing_in_without_a_token_says_how_to_give_it(cli: Cli) -> None:
    refused = cli.bare("login", "https://claw.example.com", "--token-stdin")
    assert (refused.code, "--token-stdin" in refused.stderr) == (2, True)
    assert contexts.load().known == {}


def test_the_token_is_in_a_file_that_only_its_user_can_read(signed_in: Cli) -> None:
    assert contexts.path().stat().st_mode & 0o777 == 0o600
    listed = signed_in.bare("contexts", "list", "--json").json["items"]
    assert [(each["name"], each["current"]) for each in listed] == [("local", False), ("work", True)]


def test_this_computer_is_a_context_as_well(signed_in: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert signed_in.bare("contexts", "use", "local").code == 0
    assert signed_in.bare("pool", "show").code != 0, "there is no platform in this home"
    monkeypatch.setenv("OPENCLAW_HOSTED_CONTEXT", "work")
    assert signed_in.bare("pool", "show").code == 0
    assert signed_in.bare("contexts", "use", "elsewhere").code == 3


def test_signing_out_revokes_the_token(signed_in: Cli, platform: RunningPlatform, token: str) -> None:
    assert signed_in.bare("logout").code == 0
    assert contexts.load() == contexts.Contexts({})
    refused = signed_in.bare("login", address(platform), "--token-stdin", stdin=token)
    assert refused.code == 4
    assert contexts.load().known == {}, "a token that is not valid is not kept"
    assert signed_in.bare("logout").code == 5


@pytest.mark.parametrize("url", ["ftp://claw.example.com", "https://", "https://claw.example.com/admin", "https://me:pw@claw.example.com"])
def test_what_is_no_address_of_a_platform_is_refused(cli: Cli, url: str) -> None:
    refused = cli.bare("login", url, "--token-stdin", stdin="ochs_x")
    assert refused.code == 2
    assert "https://claw.example.com" in refused.stderr


def test_a_file_of_contexts_that_is_broken_is_named_and_kept(cli: Cli) -> None:
    contexts.path().parent.mkdir(parents=True)
    contexts.path().write_text("{")
    refused = cli.bare("pool", "show")
    assert (refused.code, str(contexts.path()) in refused.stderr) == (1, True)
    assert contexts.path().read_text() == "{"


def test_anything_that_the_api_has_can_be_asked_for(signed_in: Cli, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps({"name": "By hand"}))
    made = signed_in.bare("api", "POST", "/instances", "--data", f"@{tmp_path}/body.json")
    assert made.json["phase"] in ("pending", "placing")
    assert signed_in.bare("api", "get", f"/api/v1/instances/{made.json['id']}").json["name"] == "By hand"
    assert signed_in.bare("api", "get", "/instances/oc-22222222").code == 3
    assert signed_in.bare("api", "post", "/instances", "--data", "{").code == 2
    assert signed_in.bare("api", "get", "instances").code == 2


def test_only_what_is_named_changes(signed_in: Cli) -> None:
    made = signed_in.bare("instances", "create", "Before", "--json").json
    changed = signed_in.bare("instances", "update", made["id"], "--name", "After", "--json").json
    assert (changed["name"], changed["settings"]) == ("After", made["settings"])
    key = "sk-ant-0123456789abcdef"
    switched = signed_in.bare("instances", "update", "After", "--provider", "anthropic", "--api-key-stdin", "--json", stdin=key)
    assert (switched.json["settings"]["provider"], switched.json["credentials"]) == ("anthropic", ["modelApiKey"])
    assert switched.json["name"] == "After"
    nothing = signed_in.bare("instances", "update", "After")
    assert (nothing.code, "--help" in nothing.stderr) == (2, True)


def test_an_owner_sees_what_happened_to_their_instance(signed_in: Cli) -> None:
    made = signed_in.bare("instances", "create", "Storied", "--json").json
    signed_in.bare("instances", "update", made["id"], "--name", "Told")
    found = signed_in.bare("instances", "events", made["id"], "--json").json["items"]
    assert [(event["name"], event["actor"]["name"]) for event in found] == [
        ("instance.changed", ADMIN_EMAIL), ("instance.created", ADMIN_EMAIL),
    ]  # fmt: skip
    assert "instance.created" in signed_in.bare("instances", "events", "Told").stdout


def test_lists_are_cut_and_filtered(signed_in: Cli) -> None:
    made = [signed_in.bare("instances", "create", f"Numbered {number}", "--json").json["id"] for number in range(3)]
    listed = signed_in.bare("instances", "list", "--all", "--limit", "2", "--json").json["items"]
    assert [item["id"] for item in listed] == made[:0:-1]
    assert signed_in.bare("instances", "list", "--status", "failed", "--json").json["items"] == []
    assert signed_in.bare("instances", "list", "--owner", ADMIN_EMAIL, "--json").json["items"][0]["id"] == made[-1]
    assert signed_in.bare("instances", "list", "--owner", "nobody@example.com").code == 3


@pytest.mark.parametrize(
    ("shell", "asked"),
    [("bash", {"COMP_WORDS": "openclaw-hosted inst", "COMP_CWORD": "1"}), ("zsh", {"_TYPER_COMPLETE_ARGS": "openclaw-hosted inst"})],
)
def test_a_shell_completes_commands(cli: Cli, shell: str, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**asked, "_OPENCLAW_HOSTED_COMPLETE": f"complete_{shell}"}.items():
        monkeypatch.setenv(name, value)
    assert "instances" in cli.bare().stdout


@pytest.mark.parametrize(
    ("seen", "now", "new"),
    [
        (["a", "b"], ["a", "b", "c"], ["c"]),
        (["a", "b", "c"], ["b", "c", "d"], ["d"]),
        (["b", "c"], ["a", "b", "c"], []),
        (["a"], ["x", "y"], ["x", "y"]),
        ([], ["a"], ["a"]),
        (["a", "a"], ["a", "a", "a"], []),
    ],
)
def test_followed_lines_are_those_after_the_last_ones_seen(seen: list[str], now: list[str], new: list[str]) -> None:
    assert list(new_lines(seen, now)) == new
