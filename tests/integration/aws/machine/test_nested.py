"""The machine's script on machines with an engine, disks and metadata of their own, with a stand-in for OpenClaw."""

from __future__ import annotations

import base64
import json
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from lab.plane.base import CommandResult, Power
from tests.integration.aws.machine.nested import TOKEN, Fleet, fleet_of_machines, stand_in_image, start_line
from tests.support.platform import wait_until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.docker, pytest.mark.lab]

MACHINE = "i-00000001"
NUMBERS = count(1)
VOLUME = "/var/lib/openclaw/volume"
WIPE = f"docker rm -f $(docker ps -aq) >/dev/null; umount {VOLUME} 2>/dev/null; rm -rf /var/lib/openclaw"
IDENTITY = (
    f"""curl -sS -X POST -H 'Authorization: Bearer {TOKEN}' -d '{{"method": "identity"}}' http://127.0.0.1:8080/api/v1/oc-hosted/rpc"""
)
SILENT_SECONDS = 60.0
"""How long CloudWatch leaves Docker without an answer, where it is away; longer than anything here takes."""
BREAK = f"""sed -i 's/"gateway": {{/"gateway": {{"nonsense": 1,/' {VOLUME}/state/openclaw.json"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with fleet_of_machines() as made:
        yield made


@pytest.fixture(scope="module")
def image(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stand_in_image(tmp_path_factory.mktemp("stand-in")) as tag:
        yield fleet.machines.registry.push(tag, "openclaw:stand-in")


@pytest.fixture(scope="module")
def machine(fleet: Fleet) -> str:
    """One that has booted."""
    fleet.launch(MACHINE)
    fleet.machines.wait_for_user_data(MACHINE, PATIENCE_SECONDS)
    return MACHINE


@pytest.fixture
def ref(fleet: Fleet, image: str, machine: str) -> Iterator[str]:
    """The machine as if it were new, with the image on it."""
    done(fleet.do(machine, f"prepare image={image}"))
    yield machine
    fleet.amazon.account.secrets.clear()


@pytest.fixture
def volume(fleet: Fleet, ref: str) -> Iterator[str]:
    """A new disk on the machine."""
    name = f"vol-{next(NUMBERS):08d}"
    fleet.machines.create_volume(name, 1)
    fleet.machines.attach(ref, "/dev/sdf", name)
    yield name
    fleet.sh(ref, WIPE)
    fleet.machines.detach(name, force=True)


def done(result: CommandResult) -> None:
    assert (result.exit_code, result.stderr) == (0, ""), result


def refused(result: CommandResult, code: int, because: str) -> None:
    assert result.exit_code == code, result
    assert because in result.stderr
    assert result.stderr.count("\n") == 1


def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    wait_until(condition, seconds)


def answers(fleet: Fleet, ref: str) -> str | None:
    """The instance id that the gateway says to who has the token."""
    said = fleet.machines.run(ref, IDENTITY, 30.0).stdout
    return str(json.loads(said)["payload"]["instanceId"]) if said.startswith("{") and "payload" in said else None


def is_held(fleet: Fleet, ref: str) -> None:
    """Wait until the container's first process has nothing left to do but to keep the container from being started again."""
    until(lambda: "sleep 3600" in fleet.sh(ref, "docker top openclaw-gateway"))


def container(fleet: Fleet, ref: str, what: str) -> str:
    return fleet.sh(ref, f"docker inspect --format '{what}' openclaw-gateway")


def test_a_gateway_starts_on_an_empty_volume_and_starting_it_again_changes_nothing(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    line = start_line("oc-22222222", volume, image)
    refused(fleet.do(ref, line), 6, "openclaw/oc-22222222")
    fleet.secret("oc-22222222")
    done(fleet.do(ref, line))
    until(lambda: answers(fleet, ref) == "oc-22222222")
    made = container(fleet, ref, "{{.Id}} {{.State.StartedAt}}")
    config = fleet.sh(ref, f"cat {VOLUME}/state/openclaw.json")
    done(fleet.do(ref, start_line("oc-22222222", volume, image, generation=4, fresh=0)))
    assert container(fleet, ref, "{{.Id}} {{.State.StartedAt}}") == made
    assert fleet.sh(ref, f"cat {VOLUME}/state/openclaw.json") == config
    seen = fleet.inspect(ref)
    assert (seen["running"], seen["exit"], seen["refused"], seen["restarts"], seen["oom"], seen["problem"]) == ("1", "", "0", "0", "0", "")
    assert (seen["instance"], seen["generation"], seen["image"], seen["volume"]) == ("oc-22222222", "4", image, volume)
    assert abs(float(seen["started"]) - time.time()) < 60
    refused(fleet.do(ref, line), 3, "generation 4 was here before generation 1")


def test_the_container_is_as_closed_as_the_local_ones(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    fleet.secret("oc-22222222")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    facts = json.loads(fleet.sh(ref, "docker inspect openclaw-gateway"))[0]
    host, own = facts["HostConfig"], facts["Config"]
    assert (own["Hostname"], own["User"], own["StopTimeout"]) == ("oc-22222222", "1000:1000", 330)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"], host["PidsLimit"]) == (True, ["ALL"], ["no-new-privileges"], 512)
    assert (host["Memory"], host["MemorySwap"], host["Init"]) == (1536 << 20, 1536 << 20, True)
    assert host["RestartPolicy"]["Name"] == "always"
    assert {(each["Type"], each["Source"], each["RW"]) for each in facts["Mounts"]} == {
        ("bind", f"{VOLUME}/state", True), ("bind", f"{VOLUME}/home", True), ("bind", "/var/lib/openclaw/secrets", False)
    }  # fmt: skip
    assert ("OPENCLAW_HOSTED_RESERVED=0" in own["Env"], host["Tmpfs"]["/run/openclaw"].split(",")[0]) == (True, "mode=700")
    assert TOKEN not in json.dumps(facts)
    assert fleet.sh(ref, "stat -c '%a %u %h' /var/lib/openclaw/secrets /var/lib/openclaw/secrets/secrets.json").split("\n") == [
        "700 1000 2", "600 1000 1"
    ]  # fmt: skip
    assert "DROP" in fleet.sh(ref, "iptables -S DOCKER-USER | grep 169.254.169.254/32")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    assert fleet.sh(ref, "iptables -S DOCKER-USER | grep -c 169.254.169.254") == "1"


def test_a_refused_configuration_is_told_and_not_tried_again_until_the_next_start_mends_it(
    fleet: Fleet, image: str, ref: str, volume: str
) -> None:
    fleet.secret("oc-22222222")
    line = start_line("oc-22222222", volume, image)
    done(fleet.do(ref, line))
    until(lambda: answers(fleet, ref))
    done(fleet.do(ref, "keep-config"))
    fleet.sh(ref, BREAK)
    done(fleet.do(ref, "restart now=0"))
    until(lambda: fleet.inspect(ref)["refused"] == "1")
    first = fleet.inspect(ref)
    is_held(fleet, ref)
    seen = fleet.inspect(ref)
    assert (seen["running"], seen["exit"], seen["restarts"], seen["started"]) == ("0", "78", first["restarts"], first["started"])
    assert "unknown key nonsense" in base64.b64decode(seen["problem"]).decode()
    done(fleet.do(ref, line))
    until(lambda: answers(fleet, ref))
    assert fleet.inspect(ref)["refused"] == "0"


def test_a_crash_is_not_a_refusal_and_is_tried_again(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    fleet.secret("oc-22222222")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    until(lambda: answers(fleet, ref))
    fleet.sh(ref, f"touch {VOLUME}/state/crash")
    done(fleet.do(ref, "restart now=0"))
    until(lambda: int(fleet.inspect(ref)["restarts"]) >= 3)
    seen = fleet.inspect(ref)
    assert (seen["refused"], seen["exit"]) in {("0", "1"), ("0", "")}
    fleet.sh(ref, f"rm {VOLUME}/state/crash")
    until(lambda: answers(fleet, ref))


def test_foreign_and_unknown_volumes_are_refused_and_left_as_they_are(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    fleet.secret("oc-22222222")
    disk = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"
    start = start_line("oc-22222222", volume, image)
    refused(fleet.do(ref, start_line("oc-22222222", volume, image, fresh=0)), 4, "no file system")
    absent = start_line("oc-22222222", "vol-0000dead", image)
    refused(fleet.do(ref, absent, variables="OPENCLAW_DISK_TRIES=2"), 5, "vol-0000dead is not attached")
    fleet.sh(ref, f"printf x | dd of={disk} bs=1 seek=70000 conv=notrunc status=none")
    refused(fleet.do(ref, start), 4, "holds something")
    fleet.sh(ref, f"mkfs.ext4 -q -F {disk} && mount {disk} /mnt && echo mine >/mnt/file && umount /mnt")
    refused(fleet.do(ref, start), 4, "nobody knows whom")
    fleet.sh(ref, f"mount {disk} /mnt && rm /mnt/file && echo oc-33333333 >/mnt/instance-id && umount /mnt")
    refused(fleet.do(ref, start), 4, "holds the data of oc-33333333, not of oc-22222222")
    assert fleet.sh(ref, f"docker ps -aq; findmnt {VOLUME} || echo free") == "free"
    assert fleet.sh(ref, f"mount {disk} /mnt && ls /mnt && umount /mnt").split() == ["instance-id", "lost+found"]


def test_what_is_stopped_lets_go_of_its_volume_and_another_machine_finds_the_data(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    fleet.secret("oc-22222222")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    until(lambda: answers(fleet, ref))
    fleet.sh(ref, f"echo remembered >{VOLUME}/state/memory")
    assert not fleet.machines.detach(volume)
    done(fleet.do(ref, "stop"))
    done(fleet.do(ref, "stop"))
    assert fleet.inspect(ref)["running"] == "0"
    refused(fleet.do(ref, "restart now=1"), 8, "no gateway is here")
    assert fleet.sh(ref, "ls /var/lib/openclaw/secrets 2>/dev/null || echo none") == "none"
    assert fleet.machines.detach(volume)
    other = fleet.launch("i-0000other", "vol-0000beef")
    fleet.machines.wait_for_user_data(other, PATIENCE_SECONDS)
    fleet.secret("oc-44444444")
    done(fleet.do(other, f"prepare image={image}"))
    done(fleet.do(other, start_line("oc-44444444", "vol-0000beef", image, generation=0)))
    fleet.machines.attach(other, "/dev/sdg", volume)
    done(fleet.do(other, start_line("oc-22222222", volume, image, generation=2, fresh=0)))
    until(lambda: answers(fleet, other) == "oc-22222222")
    assert fleet.sh(other, f"cat {VOLUME}/state/memory") == "remembered"
    assert fleet.machines.detach("vol-0000beef"), "the volume that it came with is free"
    fleet.machines.terminate(other)


def test_two_callers_at_once_start_one_gateway(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    fleet.secret("oc-22222222")
    results: list[CommandResult] = []
    line = start_line("oc-22222222", volume, image)
    callers = [threading.Thread(target=lambda: results.append(fleet.do(ref, line))) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [result.exit_code for result in results] == [0, 0, 0], results
    assert fleet.sh(ref, "docker ps -aq").count("\n") == 0
    until(lambda: answers(fleet, ref))


def test_cloudwatch_that_is_away_holds_up_neither_the_start_nor_the_gateway(
    fleet: Fleet, image: str, ref: str, volume: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.secret("oc-22222222")
    monkeypatch.setattr(fleet.amazon.account, "cloudwatch_seconds", SILENT_SECONDS)
    done(fleet.do(ref, f"{start_line('oc-22222222', volume, image)} log=/a/group"))
    until(lambda: answers(fleet, ref) == "oc-22222222")
    assert json.loads(container(fleet, ref, "{{json .HostConfig.LogConfig}}"))["Type"] == "awslogs"
    until(lambda: "Logs_20140328.CreateLogStream" in fleet.amazon.account.asked)
    printing = "seq 1 1000000 >/proc/$(docker inspect -f '{{.State.Pid}}' openclaw-gateway)/fd/2"
    fleet.sh(ref, f"timeout 30 bash -c {shlex.quote(printing)}")
    until(lambda: fleet.sh(ref, "docker logs --tail 1 openclaw-gateway 2>&1") == "1000000")
    assert fleet.do(ref, "logs lines=2").stdout == "999999\n1000000\n", "where OpenClaw has no log file yet"
    first = container(fleet, ref, "{{.State.StartedAt}}")
    done(fleet.do(ref, "restart now=1"))
    until(lambda: container(fleet, ref, "{{.State.StartedAt}}") != first, SILENT_SECONDS / 2)
    until(lambda: answers(fleet, ref) == "oc-22222222", SILENT_SECONDS / 2)
    done(fleet.do(ref, "stop", SILENT_SECONDS / 2))


def test_the_tail_of_openclaws_own_log_file_is_told_while_it_runs(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    fleet.secret("oc-22222222")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    until(lambda: answers(fleet, ref) == "oc-22222222")
    own = "/proc/$(docker inspect -f '{{.State.Pid}}' openclaw-gateway)"
    fleet.sh(ref, f"printf 'said {TOKEN}\\nthe last line\\n' >{own}/root/tmp/openclaw.jsonl; echo printed >{own}/fd/2")
    assert fleet.do(ref, "logs lines=2").stdout == "said ●●●\nthe last line\n"
    fleet.sh(ref, f"cd {own}/root/tmp && rm openclaw.jsonl && ln -s /var/lib/openclaw/machine.env openclaw.jsonl")
    assert fleet.do(ref, "logs lines=2").stdout == "printed\n", "a tenant's link leads nowhere"
    fleet.sh(ref, f"cd {own}/root/tmp && rm openclaw.jsonl && mkfifo openclaw.jsonl")
    assert fleet.do(ref, "logs lines=2", 20.0).stdout == "printed\n"
    fleet.sh(ref, "docker stop -t 5 openclaw-gateway")
    assert fleet.do(ref, "logs lines=2").stdout == "printed\n"


LIVE = "/proc/$(docker inspect -f '{{.State.Pid}}' openclaw-gateway)/root/run/openclaw/secrets.json"
"""What the gateway reads."""


def test_credentials_that_were_handed_to_a_gateway_are_in_no_log_and_end_with_its_container(
    fleet: Fleet, image: str, ref: str, volume: str
) -> None:
    fleet.secret("oc-22222222")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    until(lambda: answers(fleet, ref))
    handed = json.dumps({"gatewayToken": TOKEN, "modelApiKey": "a-key-that-was-handed"}, indent=1)
    fleet.sh(ref, f"docker exec -i openclaw-gateway sh -c 'cat >/run/openclaw/secrets.json' <<'END'\n{handed}\nEND")
    fleet.sh(ref, "echo said a-key-that-was-handed >/proc/$(docker inspect -f '{{.State.Pid}}' openclaw-gateway)/fd/2")
    assert "said ●●●" in fleet.do(ref, "logs lines=50").stdout
    fleet.sh(ref, "docker exec openclaw-gateway sh -c 'rm /run/openclaw/secrets.json && mkfifo /run/openclaw/secrets.json'")
    assert fleet.do(ref, "logs lines=50", 20.0).exit_code == 0, "a tenant's pipe keeps nobody"
    fleet.sh(ref, "docker restart -t 5 openclaw-gateway")
    assert json.loads(fleet.sh(ref, f"cat {LIVE}")) == {"gatewayToken": TOKEN}


def test_new_credentials_reach_the_file_and_no_log(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    fleet.secret("oc-22222222")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    fleet.secret("oc-22222222", "another-token")
    refused(fleet.do(ref, "secrets instance=oc-33333333 generation=1 secret=openclaw/oc-33333333"), 8, "oc-33333333")
    refused(fleet.do(ref, "secrets instance=oc-22222222 generation=0 secret=openclaw/oc-22222222"), 3, "generation 1")
    done(fleet.do(ref, "secrets instance=oc-22222222 generation=1 secret=openclaw/oc-22222222"))
    assert json.loads(fleet.sh(ref, "cat /var/lib/openclaw/secrets/secrets.json")) == {"gatewayToken": "another-token"}
    assert json.loads(fleet.sh(ref, f"cat {LIVE}")) == {"gatewayToken": "another-token"}
    assert fleet.sh(ref, f"stat -c '%a %u' {LIVE}") == "600 1000"
    fleet.sh(ref, "echo said another-token >/proc/$(docker inspect -f '{{.State.Pid}}' openclaw-gateway)/fd/1")
    logs = fleet.do(ref, "logs lines=50")
    assert logs.exit_code == 0
    assert "said ●●●" in logs.stdout
    assert "another-token" not in logs.stdout


@pytest.mark.parametrize("how", [pytest.param("reboot", marks=pytest.mark.long), "crash"])
def test_a_machine_that_reboots_serves_again_by_itself_behind_the_same_walls(
    fleet: Fleet, image: str, ref: str, volume: str, how: str
) -> None:
    fleet.secret("oc-22222222")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    until(lambda: answers(fleet, ref) == "oc-22222222")
    fleet.sh(ref, f"echo remembered >{VOLUME}/state/memory; sync")
    fleet.amazon.account.secrets.clear()
    reboot(fleet, ref, how)
    until(lambda: answers(fleet, ref) == "oc-22222222")
    assert fleet.sh(ref, f"cat {VOLUME}/state/memory; findmnt -no OPTIONS {VOLUME} | grep -o nosuid") == "remembered\nnosuid"
    assert fleet.sh(ref, "iptables -S DOCKER-USER | grep -c 169.254.169.254") == "1"
    seen = fleet.inspect(ref)
    assert (seen["running"], seen["instance"], seen["volume"]) == ("1", "oc-22222222", volume)
    times = fleet.sh(
        ref,
        """systemctl show -p ExecMainExitTimestampMonotonic openclaw-machine
        systemctl show -p ExecMainStartTimestampMonotonic docker""",
    )
    unit_ended, docker_began = (int(line.partition("=")[2]) for line in times.splitlines())
    assert 0 < unit_ended <= docker_began
    done(fleet.do(ref, start_line("oc-22222222", volume, image, generation=2, fresh=0)))


def test_without_its_volume_a_rebooted_machine_starts_nothing_until_it_is_revived(fleet: Fleet, image: str, ref: str, volume: str) -> None:
    fleet.secret("oc-22222222")
    done(fleet.do(ref, start_line("oc-22222222", volume, image)))
    until(lambda: answers(fleet, ref) == "oc-22222222")
    fleet.sh(ref, "systemctl -q disable openclaw-machine")
    reboot(fleet, ref, "reboot")
    until(lambda: fleet.machines.run(ref, "systemctl is-active docker", 20.0).exit_code == 0)
    assert fleet.inspect(ref)["running"] == "0"
    assert fleet.sh(ref, f"ls -A {VOLUME}") == "", "nothing was written in the place of the volume"
    done(fleet.do(ref, "revive"))
    until(lambda: answers(fleet, ref) == "oc-22222222")
    made = container(fleet, ref, "{{.Id}} {{.State.StartedAt}}")
    done(fleet.do(ref, "revive"))
    assert container(fleet, ref, "{{.Id}} {{.State.StartedAt}}") == made
    fleet.sh(ref, "systemctl -q enable openclaw-machine")


def test_a_machine_that_serves_nobody_has_nothing_to_bring_back(fleet: Fleet, ref: str) -> None:
    done(fleet.do(ref, "revive"))
    done(fleet.do(ref, "boot"))
    assert fleet.inspect(ref)["running"] == "0"


def reboot(fleet: Fleet, ref: str, how: str) -> None:
    getattr(fleet.machines, how)(ref)
    until(lambda: fleet.machines.power(ref) is Power.RUNNING)
