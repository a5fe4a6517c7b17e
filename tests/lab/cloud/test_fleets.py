"""What CreateFleet of type `instant` does on AWS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.cloud.support import IMAGE, Site


def create(site: Site, count: int = 1, market: str = "spot", template: str = "", **asked: Any) -> Any:
    request = {
        "Type": "instant",
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateId": template or site.fleet_template_id, "Version": "$Default"},
                "Overrides": [{"SubnetId": subnet, "InstanceType": "t3.small"} for subnet in site.subnets.values()],
            }
        ],
        "TargetCapacitySpecification": {"TotalTargetCapacity": count, "DefaultTargetCapacityType": market},
        "SpotOptions": {"AllocationStrategy": "price-capacity-optimized"},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "MachineId", "Value": "m-1"}]}],
        **asked,
    }
    return site.client("ec2").create_fleet(**request)


def test_an_instant_fleet_answers_with_its_machines_tagged_and_of_the_template(site: Site) -> None:
    answer = create(site)
    (launched,) = answer["Instances"]
    assert (launched["Lifecycle"], launched["InstanceType"]) == ("spot", "t3.small")
    found = site.instance(launched["InstanceIds"][0])
    assert {"Key": "MachineId", "Value": "m-1"} in found["Tags"]
    assert {"Key": "aws:ec2:fleet-id", "Value": answer["FleetId"]} in found["Tags"]
    assert found["InstanceLifecycle"] == "spot"
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["PublicIpAddress"]


def test_machines_go_where_capacity_is_left_and_errors_say_where_none_was(site: Site) -> None:
    site.cloud.faults.capacity["t3.small", "us-west-2a", "spot"] = 1
    answer = create(site, count=3)
    zones = {
        site.instance(each["InstanceIds"][0])["Placement"]["AvailabilityZone"]: len(each["InstanceIds"]) for each in answer["Instances"]
    }
    assert zones == {"us-west-2a": 1, "us-west-2b": 2}
    (error,) = answer["Errors"]
    assert error["ErrorCode"] == "InsufficientInstanceCapacity"
    assert error["LaunchTemplateAndOverrides"]["Overrides"]["SubnetId"] == site.subnets["us-west-2a"]


def test_a_fleet_without_any_capacity_is_no_error_but_has_no_machines(site: Site) -> None:
    for zone in site.subnets:
        site.cloud.faults.capacity["t3.small", zone, "spot"] = 0
    answer = create(site)
    assert answer["Instances"] == []
    assert {each["ErrorCode"] for each in answer["Errors"]} == {"InsufficientInstanceCapacity"}
    assert len(create(site, market="on-demand")["Instances"]) == 1


def test_less_than_the_minimum_launches_nothing(site: Site) -> None:
    for zone in site.subnets:
        site.cloud.faults.capacity["t3.small", zone, "spot"] = 1
    options = {"AllocationStrategy": "price-capacity-optimized", "MinTargetCapacity": 3, "SingleAvailabilityZone": False}
    assert create(site, count=3, SpotOptions=options)["Instances"] == []
    assert site.cloud.inventory()["instances"] == 0


def test_the_same_client_token_brings_the_same_fleet(site: Site) -> None:
    first, second = create(site, ClientToken="row-7"), create(site, ClientToken="row-7")
    assert first["FleetId"] == second["FleetId"]
    assert first["Instances"] == second["Instances"]
    assert site.cloud.inventory()["instances"] == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        create(site, count=2, ClientToken="row-7")


def test_a_dry_run_launches_nothing(site: Site) -> None:
    with pytest.raises(ClientError, match="DryRunOperation"):
        create(site, DryRun=True)
    assert site.cloud.inventory()["instances"] == 0


def test_a_subnet_in_the_template_is_one_too_many_under_an_override(site: Site) -> None:
    answer = create(site, template=site.template_id)
    assert answer["Instances"] == []
    assert {error["ErrorCode"] for error in answer["Errors"]} == {"InvalidParameterCombination"}
    assert len(answer["Errors"]) == len(site.subnets)


def test_a_template_for_spot_launches_nothing_on_demand(site: Site) -> None:
    data = {"ImageId": IMAGE, "InstanceMarketOptions": {"MarketType": "spot"}}
    template = site.template("spot", data)
    assert len(create(site, template=template)["Instances"]) == 1
    answer = create(site, market="on-demand", template=template)
    assert answer["Instances"] == []
    assert {error["ErrorCode"] for error in answer["Errors"]} == {"InvalidFleetConfiguration"}


def test_a_tag_that_the_metadata_address_can_not_name_ends_a_launch(site: Site) -> None:
    for key in ("cost center", "team/cost", "..", "_index"):
        answer = create(site, TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": key, "Value": "x"}]}])
        assert answer["Instances"] == []
        assert "is not a valid tag key" in answer["Errors"][0]["ErrorMessage"]
