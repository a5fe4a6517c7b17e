"""CPU credits, by EC2's user guide (*Burstable performance instances*) and the model of ModifyInstanceCreditSpecification."""

from __future__ import annotations

import pytest

from lab.cloud.cpu_credits import balance, held_back
from tests.lab.cloud.support import IMAGE, Site

HOUR_SECONDS = 3600


def standard(instance_id: str) -> dict[str, str]:
    return {"InstanceId": instance_id, "CpuCredits": "standard"}


def test_a_new_machine_has_no_credits_and_earns_those_of_a_day_at_most(site: Site) -> None:
    (instance_id,) = site.launch()
    assert site.state(instance_id) == "running"
    row = site.cloud.fleet.rows[instance_id]
    earned = []
    for hours in (0, 1, 24, 1):
        site.pass_time(hours * HOUR_SECONDS)
        earned.append(balance(site.cloud, row))
    assert earned == pytest.approx([0, 24, 576, 576])


def test_standard_without_credits_is_held_to_the_baseline_and_unlimited_is_not(site: Site) -> None:
    (instance_id,) = site.launch()
    assert site.state(instance_id) == "running"
    assert held_back(site.cloud) == []
    site.client("ec2").modify_instance_credit_specification(InstanceCreditSpecifications=[standard(instance_id)])
    assert held_back(site.cloud) == [instance_id]
    site.pass_time(HOUR_SECONDS)
    assert held_back(site.cloud) == []


def test_what_can_not_be_switched_stands_in_an_answer_that_is_no_error(site: Site) -> None:
    ec2 = site.client("ec2")
    good, ended = site.launch(2)
    (fixed,) = (
        each["InstanceId"] for each in ec2.run_instances(ImageId=IMAGE, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"]
    )
    ec2.terminate_instances(InstanceIds=[ended])
    site.cloud.settle()
    unknown = "i-0000000000000000f"
    answer = ec2.modify_instance_credit_specification(
        InstanceCreditSpecifications=[standard(each) for each in (good, ended, fixed, unknown)]
    )
    assert answer["SuccessfulInstanceCreditSpecifications"] == [{"InstanceId": good}]
    failed = {each["InstanceId"]: each["Error"]["Code"] for each in answer["UnsuccessfulInstanceCreditSpecifications"]}
    assert failed == {
        ended: "IncorrectInstanceState",
        fixed: "InstanceCreditSpecification.NotSupported",
        unknown: "InvalidInstanceID.NotFound",
    }


def test_without_ids_those_are_shown_that_are_unlimited(site: Site) -> None:
    ec2 = site.client("ec2")
    one, other = site.launch(2)
    ec2.modify_instance_credit_specification(InstanceCreditSpecifications=[standard(one)])
    shown = ec2.describe_instance_credit_specifications()["InstanceCreditSpecifications"]
    assert shown == [{"InstanceId": other, "CpuCredits": "unlimited"}]
    assert ec2.describe_instance_credit_specifications(InstanceIds=[one])["InstanceCreditSpecifications"] == [standard(one)]
