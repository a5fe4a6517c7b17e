"""The machine's script, as far as it can be run without a machine."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from openclaw_hosted.adapters.aws import machine
from openclaw_hosted.adapters.aws.commands import STATES, machine_script
from openclaw_hosted.adapters.openclaw.logs import readable, redact
from tests.integration.aws.machine.amazon import KEYS, Amazon
from tests.integration.aws.machine.conftest import Shell

FOLDER = Path(machine.__file__).parent
SECRET = "secret=openclaw/oc-22222222"


def test_what_is_sent_is_no_larger_than_the_documents_say() -> None:
    own, moves = len(machine_script()) / 1000, len(machine_script(STATES)) / 1000
    page = (Path(__file__).parents[4] / "docs" / "aws.md").read_text()
    said = re.search(
        r"accepts (\d+) KB.\*\* The machine's script has (\d+) KB; a command that moves a\s+state sends another (\d+) KB", page
    )
    assert said is not None
    assert [int(size) for size in said.groups()] == [math.ceil(own + moves), math.ceil(own), math.ceil(moves)]


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is missing: apt-get install shellcheck")
    done = subprocess.run(["shellcheck", *sorted(FOLDER.glob("*.sh"))], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "usage: openclaw_machine prepare|start|"),
        ("format disk=all", "usage: "),
        ("start instance=oc-22222222", "start needs generation volume image secret config"),
        ("start instance=oc-22222222 disk=1", "start takes no disk"),
        ("start instance", "start takes no instance"),
        ("start instance=../../etc", "instance is not as it should be"),
        ("start volume=vol-0a1b;reboot", "volume is not as it should be"),
        ("prepare 'image=-v /:/host'", "image is not as it should be"),
        ("secrets generation=-1", "generation is not as it should be"),
        ("start 'log=group,awslogs-create-group=true'", "log is not as it should be"),
        ("restart now=2", "now is not as it should be"),
        ("logs lines=all", "lines is not as it should be"),
        ("inspect now=1", "inspect takes no now"),
    ],
)
def test_what_is_not_understood_is_refused_with_one_line(shell: Shell, line: str, says: str) -> None:
    done = shell(f"openclaw_machine {line.replace(';', chr(92) + ';')}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1


def test_defining_the_script_runs_nothing_and_leaves_the_callers_shell_as_it_was(shell: Shell, tmp_path: Path) -> None:
    done = shell('openclaw_machine nonsense 2>/dev/null; echo "$? ${instance-unset} $-"; umask')
    assert done.stdout.split()[:2] == ["2", "unset"]
    assert "u" not in done.stdout.split()[2]
    assert done.stdout.split()[3] != "0077"
    assert list(tmp_path.iterdir()) == []


def test_an_older_generation_is_refused_and_the_newest_is_remembered(shell: Shell, tmp_path: Path) -> None:
    codes = [shell(f"generation={number} oc_newer").returncode for number in (0, 7, 7, 8, 6)]
    assert codes == [0, 0, 0, 0, 3]
    assert (tmp_path / "generation").read_text() == "8\n"


def test_requests_are_signed_as_aws_checks_them(shell: Shell, amazon: Amazon) -> None:
    amazon.account.secrets["openclaw/oc-22222222"] = json.dumps({"gatewayToken": 'a"b\\cé\n'})
    done = shell(f"{SECRET}\noc_secret")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(json.loads(done.stdout)["SecretString"]) == {"gatewayToken": 'a"b\\cé\n'}
    assert amazon.account.asked == ["secretsmanager.GetSecretValue"]


def test_a_secret_that_is_not_for_this_machine_is_told_apart_from_one_that_can_not_be_asked_for(shell: Shell, amazon: Amazon) -> None:
    assert shell(f"{SECRET}\noc_secret").returncode == 6
    amazon.account.secrets["openclaw/oc-22222222"] = "{}"
    amazon.account.failing = 1
    assert shell(f"{SECRET}\noc_secret").returncode == 0, "a failure of a moment is not worth a word"
    del amazon.account.metadata["iam/security-credentials/"]
    done = shell(f"{SECRET}\noc_secret")
    assert (done.returncode, done.stderr) == (9, "secret openclaw/oc-22222222 can not be fetched now\n")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("ThrottlingException", 9),
        ("com.amazon.coral.availability#ThrottlingException", 9),
        ("ExpiredTokenException", 9),
        ("AccessDeniedException", 6),
        ("ResourceNotFoundException", 6),
    ],
)
def test_a_call_that_is_throttled_is_not_taken_for_one_that_is_denied(shell: Shell, amazon: Amazon, kind: str, code: int) -> None:
    amazon.account.secrets["openclaw/oc-22222222"] = "{}"
    amazon.account.refusing = kind
    assert shell(f"{SECRET}\noc_secret").returncode == code


def test_keys_and_tokens_stand_in_no_command_line(shell: Shell, amazon: Amazon, tmp_path: Path) -> None:
    amazon.account.secrets["openclaw/oc-22222222"] = "{}"
    seen = tmp_path / "bin" / "seen"
    seen.parent.mkdir()
    spy = seen.parent / "curl"
    spy.write_text(f'#!/bin/sh\necho "$*" >>{seen}\nexec {shutil.which("curl")} "$@"\n')
    spy.chmod(0o755)
    assert shell(f"{SECRET}\noc_secret", PATH=f"{seen.parent}:{os.environ['PATH']}").returncode == 0
    said = seen.read_text()
    assert said.count("\n") >= 7
    assert not [value for value in (*KEYS.values(), "metadata-token\n", "openclaw/oc") if value in said]


@pytest.mark.parametrize(
    ("image", "endpoint", "logs_in"),
    [
        ("1.2.3.4:5000/openclaw:a", "http://1.2.3.4:5000", True),
        ("1.2.3.4:5000/openclaw:a", "https://123456789012.dkr.ecr.us-west-2.amazonaws.com", False),
        ("123456789012.dkr.ecr.us-west-2.amazonaws.com/openclaw@sha256:0", "https://123456789012.dkr.ecr.us-west-2.amazonaws.com", True),
        ("123456789012.dkr-ecr.us-west-2.on.aws/openclaw@sha256:0", "https://123456789012.dkr.ecr.us-west-2.amazonaws.com", True),
    ],
)
def test_a_login_is_written_for_the_registry_that_it_is_for(
    shell: Shell, amazon: Amazon, tmp_path: Path, image: str, endpoint: str, logs_in: bool
) -> None:
    amazon.account.login = {"authorizationToken": "QVdTOnBhc3M=", "proxyEndpoint": endpoint}
    assert shell(f"region= image={image}\noc_log_in {tmp_path}").returncode == 0
    written = tmp_path / "config.json"
    wanted = {"auths": {image.partition("/")[0]: {"auth": "QVdTOnBhc3M="}}}
    assert (json.loads(written.read_text()) if written.exists() else None) == (wanted if logs_in else None)


def options(shell: Shell, log: str, **more: str) -> set[str]:
    done = shell(f"region= log={log}\noc_logging", **more)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_a_container_logs_to_the_machine_unless_a_group_is_named(shell: Shell, amazon: Amazon) -> None:
    assert options(shell, "''") == {"--log-driver=json-file", "--log-opt=max-size=10m", "--log-opt=max-file=3"}
    amazon.account.metadata.update({"instance-id": "i-0a1b", "placement/region": "eu-west-1"})
    there = {
        "--log-driver=awslogs", "--log-opt=awslogs-group=/a/group", "--log-opt=awslogs-stream=i-0a1b", "--log-opt=awslogs-region=eu-west-1",
        "--log-opt=mode=non-blocking", "--log-opt=max-buffer-size=4m", "--log-opt=cache-max-size=10m", "--log-opt=cache-max-file=3",
    }  # fmt: skip
    assert options(shell, "/a/group", AWS_ENDPOINT_URL="") == there
    assert options(shell, "/a/group", AWS_ENDPOINT_URL="http://lab:1") == {*there, "--log-opt=awslogs-endpoint=http://lab:1"}
    by_ipv6 = {*there, "--log-opt=awslogs-endpoint=https://logs.eu-west-1.api.aws"}
    assert options(shell, "/a/group", AWS_ENDPOINT_URL="", AWS_USE_DUALSTACK_ENDPOINT="true") == by_ipv6
    del amazon.account.metadata["instance-id"]
    assert options(shell, "/a/group") == set(), "a stream that is nobody's is not written to"


@pytest.mark.parametrize("image_has_its_own", [False, True], ids=["plain", "prepared"])
def test_a_machine_with_ipv6_only_says_so_to_docker_and_the_agent_once(
    shell: Shell, amazon: Amazon, tmp_path: Path, image_has_its_own: bool
) -> None:
    amazon.account.metadata["ipv6"] = "2001:db8::1"
    docker, agent, known = tmp_path / "etc/docker/daemon.json", tmp_path / "etc/amazon/ssm/amazon-ssm-agent.json", tmp_path / "environment"
    if image_has_its_own:
        docker.parent.mkdir(parents=True)
        docker.write_text('{"ipv6": true}')
    for _ in range(2):
        done = shell("oc_environment; oc_reach; echo $AWS_USE_DUALSTACK_ENDPOINT", OPENCLAW_HOST=str(tmp_path))
        assert (done.returncode, done.stdout, done.stderr) == (0, "true\n", "")
    assert json.loads(docker.read_text()).get("ip6tables") == (None if image_has_its_own else True)
    assert json.loads(agent.read_text()) == {"Agent": {"UseDualStackEndpoint": True}}
    assert known.read_text() == "AWS_USE_DUALSTACK_ENDPOINT=true\n"


@pytest.mark.parametrize("told", [{}, {"ipv6": "2001:db8::1", "public-ipv4": "192.0.2.1"}], ids=["ipv4", "both"])
def test_a_machine_with_a_public_ipv4_address_stays_as_it_is(shell: Shell, amazon: Amazon, tmp_path: Path, told: dict[str, str]) -> None:
    amazon.account.metadata.update(told)
    assert shell("oc_reach", OPENCLAW_HOST=str(tmp_path)).returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("dual", "host"), [("", "api.ecr.eu-west-1.amazonaws.com"), ("true", "ecr.eu-west-1.api.aws")])
def test_aws_is_asked_where_it_has_the_address_that_is_needed(shell: Shell, tmp_path: Path, dual: str, host: str) -> None:
    real, seen = shutil.which("curl"), tmp_path / "seen"
    spy = tmp_path / "bin" / "curl"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\ncase $* in *http_code*) cat >{seen}; exit 7;; esac\nexec {real} "$@"\n')
    spy.chmod(0o755)
    assert real is not None
    path = f"{spy.parent}:{os.environ['PATH']}"
    shell("region=eu-west-1; oc_aws ecr api.ecr Get '{}'", AWS_ENDPOINT_URL="", AWS_USE_DUALSTACK_ENDPOINT=dual, PATH=path)
    assert seen.read_text().splitlines()[0] == f'url = "https://{host}/"'


def line_of_the_file(message: str) -> str:
    about = {"runtime": "node", "logLevelName": "INFO", "name": '{"subsystem":"gateway"}', "path": {"filePath": "/opt/x.mjs", "line": "1"}}
    body = {"0": "{}", "1": {"a": {"b": 1}}, "_meta": about, "time": "2026-11-25T19:09:15Z", "hostname": "oc-22222222", "message": message}
    return json.dumps({**body, "traceId": "t"}, separators=(",", ":"), ensure_ascii=False)


def test_the_tail_of_the_log_file_says_the_same_in_fewer_bytes(shell: Shell, tmp_path: Path) -> None:
    messages = ["one", 'a "quoted" one', '"_meta":{"logLevelName":"WARN"},"time":"x","hostname":"y"', "two\nlines", "ü"]
    lines = ["not of the form", *map(line_of_the_file, messages)]
    (tmp_path / "log").write_text("".join(f"{line}\n" for line in lines))
    said = shell(f"lines=6\noc_log_file {tmp_path}/log").stdout.splitlines()
    assert [readable(line) for line in said] == [readable(line) for line in lines]
    assert all(len(short) < len(line) - 100 for short, line in zip(said[1:], lines[1:], strict=True))
    assert shell(f"lines=1\noc_log_file {tmp_path}/log").stdout.splitlines() == said[-1:]


def test_a_log_file_of_any_size_is_read_from_its_end(shell: Shell, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        file.write(b"the first line\n")
        file.truncate(1 << 32)
        file.seek(1 << 32)
        file.write(b"\nthe last line\n")
    assert shell(f"lines=200\noc_log_file {tmp_path}/log").stdout.splitlines()[-1] == "the last line"
    (tmp_path / "log").write_text("x" * 30_000 + "\nthe last line\n")
    said = shell(f"lines=200\noc_log_file {tmp_path}/log").stdout
    assert (len(said), said[-14:]) == (23_000, "the last line\n")


@pytest.mark.parametrize("writes", [False, True])
def test_what_a_tenant_puts_in_the_place_of_the_log_file_is_not_followed_nor_waited_for(
    shell: Shell, tmp_path: Path, *, writes: bool
) -> None:
    (tmp_path / "theirs").write_text("another's secret\n")
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    held = os.open(tmp_path / "pipe", os.O_RDWR) if writes else None
    try:
        for name in ("link", "folder", "pipe", "absent"):
            done = shell(f"lines=200\noc_log_file {tmp_path}/{name}")
            assert (done.stdout, done.stderr) == ("", ""), name
    finally:
        if held is not None:
            os.close(held)


def test_log_lines_lose_every_credential(shell: Shell, tmp_path: Path) -> None:
    secrets = {"gatewayToken": 'to"ken\\with$(signs)*', "modelApiKey": "plainvalue", "longer": "plainvalue-and-more", "short": "at"}
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secrets.json").write_text(json.dumps(secrets, indent=1, ensure_ascii=False) + "\n")
    lines = [
        json.dumps({"message": f"token is {secrets['gatewayToken']}"}),
        f"{secrets['gatewayToken']} plainvalue-and-more plainvalue at",
        "sk-abcdefghijk xoxb-123456789 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw Bearer zzz http://x/?token=abc&key=def",
        "an ordinary line, key and token named",
        "no newline at the end & a back\\slash",
    ]
    done = shell('printf %s "$LINES_IN" | oc_blot', LINES_IN="\n".join(lines))
    said = done.stdout.splitlines()
    assert said == [redact(line, (*secrets.values(), json.dumps(secrets["gatewayToken"])[1:-1])) for line in lines]
    assert said[3:] == lines[3:]
    assert "with$" not in done.stdout


def test_a_gateway_gets_proxies_registries_and_certificates_of_its_machine_and_nothing_else(shell: Shell, tmp_path: Path) -> None:
    plain = shell("oc_network")
    assert plain.stdout == f"--env-file={tmp_path}/network.env\n"
    assert (tmp_path / "network.env").read_text() == "NO_PROXY=127.0.0.1,localhost,::1\nno_proxy=127.0.0.1,localhost,::1\n"
    certificates = tmp_path / "own.pem"
    certificates.touch()
    told = {
        "HTTPS_PROXY": "http://proxy.example.com:3128", "no_proxy": "models.local", "npm_config_registry": "https://packages.example.com/",
        "NODE_EXTRA_CA_CERTS": str(certificates), "AWS_SECRET_ACCESS_KEY": "secret", "npm_config__auth": "secret",
    }  # fmt: skip
    (tmp_path / "environment").write_text("".join(f"{name}={value}\n" for name, value in told.items()))
    options = shell("oc_network").stdout.splitlines()
    assert f"--mount=type=bind,src={certificates},dst=/run/certificates.pem,readonly" in options
    assert "--env=GIT_SSL_CAINFO=/run/certificates.pem" in options
    assert (tmp_path / "network.env").read_text().splitlines() == [
        "HTTPS_PROXY=http://proxy.example.com:3128", "npm_config_registry=https://packages.example.com/",
        "NO_PROXY=127.0.0.1,localhost,::1,models.local", "no_proxy=127.0.0.1,localhost,::1,models.local",
    ]  # fmt: skip
