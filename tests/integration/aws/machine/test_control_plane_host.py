"""The control plane's own machine: terraform/control-plane.sh on a lab machine, with stand-ins for AWS's command line and for Docker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.plane.base import Power
from tests.integration.aws.machine.nested import Fleet, fleet_of_machines
from tests.support.platform import wait_until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.docker, pytest.mark.lab]

REF, VOLUME, ADDRESS = "i-0000host", "vol-0000da7a", "eipalloc-0000add2"
SCRIPT = Path(__file__).parents[4] / "terraform" / "control-plane.sh"
DATA = "/var/lib/openclaw-hosted"
STAND_INS = f"""cat >/usr/local/bin/aws <<'END'
#!/bin/bash
echo "$*" >>/root/asked
[[ $1 != secretsmanager ]] || printf 'SMTP_URL=smtps://a:b@mail.example.com\nALARM_EMAIL=ops@example.com\n'
END
cat >/usr/local/bin/docker <<'END'
#!/bin/bash
[[ $1 != run ]] || {{ mountpoint -q {DATA} && echo start >>{DATA}/starts && exec sleep infinity; }}
END
chmod 755 /usr/local/bin/*
echo once >>/root/times
"""
VALUES = f"""REGION='us-west-2'
IMAGE='123456789012.dkr.ecr.us-west-2.amazonaws.com/control-plane:1'
LOG_GROUP='/openclaw/platform'
VOLUME='{VOLUME}'
ADDRESS='{ADDRESS}'
DATABASE_SECRET=''
DATABASE_HOST=''
SETTINGS_SECRET='arn:aws:secretsmanager:us-west-2:123456789012:secret:settings-AbCdEf'
ENVIRONMENT='PROVIDER=aws'
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with fleet_of_machines() as made:
        yield made


def starts(fleet: Fleet) -> int:
    """How often the platform was started on its volume."""
    return fleet.machines.run(REF, f"cat {DATA}/starts", 30.0).stdout.count("start")


def test_it_waits_for_its_volume_and_serves_from_it_after_a_reboot(fleet: Fleet) -> None:
    fleet.launch(REF, user_data="#!/bin/bash\n" + STAND_INS + VALUES + SCRIPT.read_text(encoding="utf-8"))
    assert fleet.machines.wait_for_user_data(REF, PATIENCE_SECONDS) is not None
    assert fleet.machines.problem(REF) is None
    asked = f"ec2 attach-volume --region us-west-2 --volume-id {VOLUME} --instance-id {REF} --device /dev/sdf"
    wait_until(lambda: asked in fleet.machines.run(REF, "cat /root/asked", 30.0).stdout, PATIENCE_SECONDS)
    fleet.machines.create_volume(VOLUME, 1)
    fleet.machines.attach(REF, "/dev/sdf", VOLUME)
    wait_until(lambda: starts(fleet) == 1, PATIENCE_SECONDS)
    taken = f"ec2 associate-address --region us-west-2 --allocation-id {ADDRESS} --instance-id {REF} --allow-reassociation"
    assert fleet.sh(REF, "cat /root/asked").count(taken) == 1
    assert int(fleet.sh(REF, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start")) <= 80, "the edge is not root"
    fleet.machines.crash(REF)
    wait_until(lambda: fleet.machines.power(REF) is Power.RUNNING, PATIENCE_SECONDS)
    wait_until(lambda: starts(fleet) == 2, PATIENCE_SECONDS)
    told = fleet.sh(REF, "stat -c %a /run/openclaw-hosted.environment; cat /run/openclaw-hosted.environment")
    assert told.splitlines() == ["600", "SMTP_URL=smtps://a:b@mail.example.com", "ALARM_EMAIL=ops@example.com"]
    assert fleet.sh(REF, "cat /root/times; stat -c %u " + DATA) == "once\n10001"


def test_a_volume_that_holds_something_unknown_is_not_formatted(fleet: Fleet) -> None:
    disk = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{VOLUME.replace('-', '')}"
    fleet.sh(
        REF, f"systemctl stop openclaw-hosted && umount {DATA} && wipefs -qa {disk} && printf x | dd of={disk} bs=1 seek=70000 status=none"
    )
    before = fleet.sh(REF, f"sha256sum {disk}")
    fleet.sh(REF, "systemctl start openclaw-hosted")
    wait_until(
        lambda: "auto-restart" in fleet.machines.run(REF, "systemctl show -p SubState openclaw-hosted", 30.0).stdout, PATIENCE_SECONDS
    )
    assert (fleet.sh(REF, f"sha256sum {disk}"), starts(fleet)) == (before, 0)
