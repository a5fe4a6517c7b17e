"""Machines with engines of their own: what runs on a lab machine runs on an EC2 instance with Docker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.plane import home
from lab.plane.base import MachineOrder, Metadata, Power
from lab.plane.docker import docker, run
from lab.plane.nested import NestedMachines
from tests.support.docker import engine_answers
from tests.support.platform import wait_until
from tests.support.serving import serving
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.docker, pytest.mark.lab]

REGION = "us-west-2"
LINK = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{}"
BOOT = """#!/bin/bash
set -e
echo "booted as $(id -un)"
. /etc/openclaw-hosted/machine.env
curl -sS --fail "$AWS_ENDPOINT_URL/hello"
systemctl enable --now docker
systemctl is-active docker
echo once >>/root/times
"""
IMDS = """at=http://169.254.169.254/latest
token=$(curl -sS --fail -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $at/api/token)
imds() { curl -sS -o /tmp/body -w '%{http_code} ' -H "X-aws-ec2-metadata-token: $token" "$at/$1"; cat /tmp/body; echo; }
"""


LEFT_BEHIND = """
import os, pathlib, signal, sys
from lab.plane import home
from lab.plane.base import MachineOrder
from lab.plane.nested import NestedMachines
home.ROOT = pathlib.Path(sys.argv[1])
made = NestedMachines(("127.0.0.1", 9), "us-west-2", lambda _: None)
made.launch(MachineOrder("i-left", "us-west-2a", "t3.small", "", None, {"/dev/sdf": ("vol-0left", 1)}))
made.wait_for_user_data("i-left", 60)
print(made._home.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
REPOSITORY = Path(__file__).parents[3]


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"api")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


NOTICES: dict[str, dict[str, str]] = {}


def metadata(instance_id: str) -> Metadata:
    keys = {"AccessKeyId": f"ASIA{instance_id}", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
    return Metadata(instance_id, f"{REGION}a", REGION, "machine-role", keys, {"Name": "of the pool"}, NOTICES.get(instance_id))


@pytest.fixture(scope="module")
def machines() -> Iterator[NestedMachines]:
    if not engine_answers():
        pytest.skip("no Docker engine answers: apt-get install docker.io, and start dockerd")
    for tool in ("mmdebstrap", "docker-registry", "losetup", "iptables"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: apt-get install mmdebstrap docker-registry util-linux iptables")
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Api)) as api:
        made = NestedMachines(("127.0.0.1", api.server_address[1]), REGION, metadata)
        try:
            yield made
        finally:
            made.close()


def order(instance_id: str, **more: object) -> MachineOrder:
    terms: dict[str, object] = {"volumes": {}, "boot_seconds": 0.0, **more}
    return MachineOrder(instance_id, f"{REGION}a", "t3.small", BOOT, "machine-role", **terms)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def first(machines: NestedMachines) -> str:
    """A machine that has booted, with a data disk."""
    machines.launch(order("i-first", volumes={"/dev/sdf": ("vol-0first", 1)}, boot_seconds=1.0))
    assert machines.power("i-first") is Power.BOOTING
    machines.wait_for_user_data("i-first", PATIENCE_SECONDS)
    return "i-first"


@pytest.fixture(scope="module")
def second(machines: NestedMachines) -> str:
    """Another one, at hop limit 2 and without tags."""
    machines.launch(order("i-second", hop_limit=2, tags_in_metadata=False))
    machines.wait_for_user_data("i-second", PATIENCE_SECONDS)
    return "i-second"


@pytest.fixture(scope="module")
def pulled(machines: NestedMachines, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny image in the lab's registry."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is missing: apt-get install busybox-static")
    context = tmp_path_factory.mktemp("tiny")
    shutil.copy(busybox, context / "busybox")
    (context / "Dockerfile").write_text('FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox"]\n')
    docker("build", "--quiet", "--tag", "openclaw-hosted/lab-tiny", str(context))
    try:
        return machines.registry.push("openclaw-hosted/lab-tiny", "openclaw:tiny")
    finally:
        docker("rmi", "openclaw-hosted/lab-tiny")


def said(machines: NestedMachines, machine: str, script: str) -> str:
    done = machines.run(machine, script, 60.0)
    assert done.exit_code == 0, done
    return done.stdout


def test_user_data_runs_once_as_root_with_docker_and_the_api_at_hand(machines: NestedMachines, first: str) -> None:
    log = machines.wait_for_user_data(first, 1)
    assert machines.problem(first) is None, log
    assert "booted as root" in log
    assert "api" in log
    assert "active" in log
    assert said(machines, first, "docker info --format '{{.Driver}}'") == "overlay2\n"
    by = "grep -o DataSourceEc2 /run/cloud-init/result.json && cd /var/lib/cloud/instance && pwd -P && test -e sem/config_scripts_user"
    assert said(machines, first, by) == "DataSourceEc2\n/var/lib/cloud/instances/i-first\n"


def test_commands_give_their_exit_code_and_both_outputs(machines: NestedMachines, first: str) -> None:
    done = machines.run(first, "cat\necho out\necho err >&2\nexit 37\n", 30.0)
    assert (done.exit_code, done.stdout, done.stderr, done.timed_out) == (37, "out\n", "err\n", False)
    with pytest.raises(LookupError):
        machines.run("i-unknown", "true", 5.0)


def test_a_command_that_takes_too_long_is_killed(machines: NestedMachines, first: str) -> None:
    done = machines.run(first, "echo begun\nsleep 321\n", 1.0)
    assert (done.timed_out, done.stdout) == (True, "begun\n")
    assert machines.run(first, "pgrep -f 'sleep 32[1]'", 5.0).exit_code == 1


def test_the_metadata_address_tells_a_machine_about_itself_to_who_has_a_token(machines: NestedMachines, first: str, second: str) -> None:
    assert said(machines, first, "curl -sS -o /dev/null -w '%{http_code}' http://169.254.169.254/latest/meta-data/instance-id") == "401"
    script = f"""{IMDS}
        for path in instance-id placement/availability-zone placement/region iam/security-credentials/ tags/instance/ tags/instance/Name \\
            spot/instance-action; do imds meta-data/$path; done"""
    assert [line.split(" ", 1) for line in said(machines, first, script).splitlines()] == [
        ["200", "i-first"], ["200", "us-west-2a"], ["200", "us-west-2"], ["200", "machine-role"], ["200", "Name"], ["200", "of the pool"],
        ["404", ""],
    ]  # fmt: skip
    NOTICES[second] = {"action": "terminate", "time": "2026-01-01T00:00:00Z"}
    lines = said(machines, second, f"{IMDS} imds meta-data/tags/instance/Name; imds meta-data/spot/instance-action").splitlines()
    assert lines == ["404 ", f"200 {json.dumps(NOTICES[second])}"]
    role = said(machines, second, f"{IMDS} imds meta-data/iam/security-credentials/machine-role")
    assert json.loads(role.removeprefix("200 "))["AccessKeyId"] == "ASIAi-second"


def test_the_engine_of_a_machine_pulls_from_the_registry_with_its_password_only(machines: NestedMachines, first: str, pulled: str) -> None:
    assert machines.run(first, f"docker pull -q {pulled}", 60.0).exit_code != 0
    registry = pulled.partition("/")[0]
    login = f"echo '{machines.registry.password}' | docker login --username AWS --password-stdin {registry} 2>/dev/null"
    assert said(machines, first, f"{login} >/dev/null; docker run --rm {pulled} echo from inside") == "from inside\n"


@pytest.mark.parametrize("machine", ["i-first", "i-second"])
def test_containers_reach_the_metadata_address_at_hop_limit_2_only(
    machines: NestedMachines, first: str, second: str, pulled: str, machine: str
) -> None:
    assert machine in (first, second)
    registry = pulled.partition("/")[0]
    port = machines._metadata.port
    script = f"""echo '{machines.registry.password}' | docker login --username AWS --password-stdin {registry} >/dev/null 2>&1
        docker run --rm {pulled} echo it runs
        for address in "169.254.169.254 80" "{machines._bridge.gateway} {port}"; do
            printf 'GET /latest/meta-data/instance-id HTTP/1.0\\r\\n\\r\\n' |
                docker run -i --rm {pulled} nc -w 2 $address | grep HTTP || echo nothing came
        done"""
    lines = said(machines, machine, script).splitlines()
    assert [line.split()[1] for line in lines] == ["runs", *(["401", "401"] if machine == second else ["came", "came"])]


def test_machines_reach_neither_their_neighbours_nor_the_host_but_the_host_reaches_them(
    machines: NestedMachines, first: str, second: str
) -> None:
    address = machines._machine(second).address
    serve = r"""cat >/root/serve.pl <<'END'
        use IO::Socket::INET;
        my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die;
        while (my $client = $listener->accept) {
            while (<$client>) { last if /^\s*$/ }
            print $client "HTTP/1.0 200 OK\r\n\r\nhere";
            close $client;
        }
END
        setsid perl /root/serve.pl >/dev/null 2>&1 </dev/null &
        sleep 1"""
    said(machines, second, serve)
    assert run("curl", "--silent", "--max-time", "5", f"http://{address}:8080/") == "here"
    assert machines.run(first, f"curl -sS --max-time 2 http://{address}:8080/", 20.0).exit_code == 28
    with serving(ThreadingHTTPServer((machines._bridge.gateway, 0), Api)) as stranger:
        url = f"http://{machines._bridge.gateway}:{stranger.server_address[1]}/"
        assert machines.run(first, f"curl -sS --max-time 2 {url}", 20.0).exit_code == 28
        assert run("curl", "--silent", url) == "api"


def test_a_disk_keeps_its_data_over_the_end_of_its_machine_and_is_not_taken_while_mounted(machines: NestedMachines, second: str) -> None:
    machines.launch(order("i-third", volumes={"/dev/sdf": ("vol-0third", 1)}))
    machines.wait_for_user_data("i-third", PATIENCE_SECONDS)
    link = LINK.format("vol0third")
    said(machines, "i-third", f"mkfs.ext4 -q {link} && mkdir /data && mount {link} /data && echo kept >/data/file && sync")
    assert machines.detach("vol-0third") is False
    with pytest.raises(ValueError, match="is attached to i-third"):
        machines.attach(second, "/dev/sdg", "vol-0third")
    machines.terminate("i-third")
    assert machines.power("i-third") is Power.GONE
    machines.attach(second, "/dev/sdg", "vol-0third")
    assert said(machines, second, f"mkdir -p /data && mount {link} /data && cat /data/file && umount /data") == "kept\n"
    assert machines.detach("vol-0third") is True
    assert machines.run(second, f"test -e {link} || test -e /dev/sdg", 5.0).exit_code == 1
    machines.delete_volume("vol-0third")


def test_a_disk_taken_by_force_is_free_for_another_machine(machines: NestedMachines, first: str, second: str, pulled: str) -> None:
    registry = pulled.partition("/")[0]
    link = LINK.format("vol0first")
    holding = f"""set -e
        mkfs.ext4 -q {link}; mkdir -p /data; mount {link} /data; echo here >/data/file
        echo '{machines.registry.password}' | docker login --username AWS --password-stdin {registry} >/dev/null 2>&1
        docker run -d -v /data:/data {pulled} sleep 1000"""
    said(machines, first, holding)
    assert machines.detach("vol-0first") is False
    assert machines.detach("vol-0first", force=True) is True
    machines.attach(second, "/dev/sdh", "vol-0first")
    assert said(machines, second, f"mkdir -p /data && mount {link} /data && cat /data/file && umount /data") == "here\n"
    assert machines.detach("vol-0first") is True


def test_a_machine_that_lost_its_power_comes_back_with_its_disks_its_engine_and_its_address(machines: NestedMachines) -> None:
    address = machines.launch(order("i-fourth", volumes={"/dev/sdf": ("vol-0fourth", 1)}))
    machines.wait_for_user_data("i-fourth", PATIENCE_SECONDS)
    machines.cut_power("i-fourth")
    assert machines.power("i-fourth") is Power.STOPPED
    with pytest.raises(LookupError):
        machines.run("i-fourth", "true", 5.0)
    machines.start("i-fourth")
    wait_until(
        lambda: machines.power("i-fourth") is Power.RUNNING and machines.run("i-fourth", "docker version", 20.0).exit_code == 0,
        PATIENCE_SECONDS,
    )
    assert machines._machine("i-fourth").address == address
    assert said(machines, "i-fourth", f"cat /root/times; test -b {LINK.format('vol0fourth')} && {IMDS} imds meta-data/instance-id") == (
        "once\n200 i-fourth\n"
    )
    machines.stop("i-fourth")
    machines.terminate("i-fourth")


@pytest.mark.parametrize("how", ["reboot", pytest.param("crash", marks=pytest.mark.long)])
def test_a_reboot_takes_mounts_rules_and_processes_and_user_data_does_not_run_again(machines: NestedMachines, how: str) -> None:
    machine = f"i-{how}"
    address = machines.launch(order(machine, volumes={"/dev/sdf": (f"vol-0{how}", 1)}))
    machines.wait_for_user_data(machine, PATIENCE_SECONDS)
    link = LINK.format(f"vol0{how}")
    said(
        machines,
        machine,
        f"""set -e
        mkfs.ext4 -q {link}; mkdir -p /data; mount {link} /data; echo kept >/data/file; sync
        iptables -w -N OURS
        setsid sleep 4321 >/dev/null 2>&1 </dev/null &
        printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c "echo unit >>/root/times"\\n[Install]\\nWantedBy=multi-user.target\\n' \\
            >/etc/systemd/system/ours.service
        systemctl -q enable ours""",
    )
    getattr(machines, how)(machine)
    assert machines.power(machine) is Power.BOOTING
    wait_until(
        lambda: machines.power(machine) is Power.RUNNING and machines.run(machine, "docker version", 20.0).exit_code == 0, PATIENCE_SECONDS
    )
    assert machines._machine(machine).address == address
    wait_until(lambda: said(machines, machine, "cat /root/times") == "once\nunit\n", PATIENCE_SECONDS)
    gone = f"findmnt /data || iptables -w -S OURS || pgrep -f 'sleep 432[1]' || test ! -b {link}"
    assert machines.run(machine, gone, 20.0).exit_code == 1
    assert said(machines, machine, f"mount {link} /data && cat /data/file && umount /data") == "kept\n"
    machines.terminate(machine)


def test_a_command_that_a_reboot_ends_tells_nothing(machines: NestedMachines, first: str) -> None:
    outcome: list[object] = []

    def run_it() -> None:
        try:
            outcome.append(machines.run(first, "touch /root/begun; sleep 300", 400.0))
        except LookupError as gone:
            outcome.append(gone)

    thread = threading.Thread(target=run_it)
    thread.start()
    wait_until(lambda: machines.run(first, "test -e /root/begun", 5.0).exit_code == 0, PATIENCE_SECONDS)
    machines.crash(first)
    thread.join()
    assert isinstance(outcome[0], LookupError)
    wait_until(
        lambda: machines.power(first) is Power.RUNNING and machines.run(first, "docker version", 20.0).exit_code == 0, PATIENCE_SECONDS
    )


def test_what_a_killed_lab_left_behind_is_swept_away(
    machines: NestedMachines, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "ROOT", tmp_path)
    ended = subprocess.run([sys.executable, "-c", LEFT_BEHIND, str(tmp_path)], capture_output=True, text=True, cwd=REPOSITORY)
    lab_id = ended.stdout.strip()
    assert lab_id, ended.stderr
    kinds = {trace.split()[0] for trace in traces(lab_id)}
    assert kinds >= {"container", "network", "volume", "-N", "process", "directory"}
    assert any(trace.startswith("/dev/loop") for trace in traces(lab_id))
    assert home.sweep() == [lab_id]
    assert traces(lab_id) == []
    assert home.sweep() == []
    assert machines.run(first, "true", 5.0).exit_code == 0


def traces(lab_id: str) -> list[str]:
    """Whatever on this computer bears the lab's id."""
    listed = (
        docker("ps", "--all", "--format", "container {{.Names}}"),
        docker("network", "ls", "--format", "network {{.Name}}"),
        docker("volume", "ls", "--format", "volume {{.Name}}"),
        run("iptables", "--wait", "-S"),
        run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"),
        "\n".join(f"process {path.read_bytes()!r}" for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()),
        "\n".join(f"directory {path}" for path in (*home.ROOT.glob("*"), *home.CGROUPS.glob("*"), *home.CGROUPS.glob("*/*"))),
    )
    return [line for text in listed for line in text.splitlines() if lab_id in line]
