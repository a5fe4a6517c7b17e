"""Whether a machine can be had, by EC2's user guide on quotas of vCPUs, and by what a shortage is: a whole zone, for a while."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from lab.cloud.market import NEW_ACCOUNT
from tests.lab.cloud.support import IMAGE, Site
from tests.lab.cloud.test_fleets import create

HALF_AN_HOUR = 1800.0


def on_demand(site: Site, kind: str, count: int = 1) -> list[str]:
    made = site.client("ec2").run_instances(ImageId=IMAGE, InstanceType=kind, MinCount=count, MaxCount=count)
    return [each["InstanceId"] for each in made["Instances"]]


def test_a_new_account_runs_two_small_spot_machines_and_no_third_until_one_ends(site: Site) -> None:
    site.cloud.quotas.vcpus["spot"] = NEW_ACCOUNT
    answer = create(site, count=3)
    launched = [ref for each in answer["Instances"] for ref in each["InstanceIds"]]
    assert len(launched) == 2
    assert {each["ErrorCode"] for each in answer["Errors"]} == {"MaxSpotInstanceCountExceeded"}
    site.client("ec2").terminate_instances(InstanceIds=launched[:1])
    assert len(create(site)["Instances"]) == 1


def test_machines_on_demand_have_a_quota_of_their_own_in_vcpus(site: Site) -> None:
    site.cloud.quotas.vcpus.update({"spot": 0, "on-demand": NEW_ACCOUNT})
    with pytest.raises(ClientError, match="VcpuLimitExceeded"):
        on_demand(site, "m5.2xlarge")
    assert len(on_demand(site, "t3.small", 2)) == 2
    with pytest.raises(ClientError, match="VcpuLimitExceeded"):
        on_demand(site, "t3.small")


def test_what_was_not_launched_leaves_the_quota_as_it_was(site: Site) -> None:
    site.cloud.quotas.vcpus["spot"] = 4
    options = {"AllocationStrategy": "price-capacity-optimized", "MinTargetCapacity": 3, "SingleAvailabilityZone": False}
    assert create(site, count=3, SpotOptions=options)["Instances"] == []
    assert len([ref for each in create(site, count=2)["Instances"] for ref in each["InstanceIds"]]) == 2


def test_service_quotas_tells_how_many_vcpus_there_may_be(site: Site) -> None:
    site.cloud.quotas.vcpus.update({"spot": 64, "on-demand": NEW_ACCOUNT})
    client = site.client("service-quotas")
    told = {code: client.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"] for code in ("L-34B43A08", "L-1216C47A")}
    assert [told[code]["Value"] for code in told] == [64.0, 5.0]
    assert "Spot" in told["L-34B43A08"]["QuotaName"]
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        client.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")


def test_a_shortage_is_of_all_types_in_a_zone_and_over_by_itself(site: Site) -> None:
    site.cloud.run_dry("us-west-2a", HALF_AN_HOUR)
    dry = [{"SubnetId": site.subnets["us-west-2a"], "InstanceType": kind} for kind in ("t3.small", "t3a.small", "m5.large")]
    template = {"LaunchTemplateSpecification": {"LaunchTemplateId": site.fleet_template_id, "Version": "$Default"}, "Overrides": dry}
    answer = create(site, LaunchTemplateConfigs=[template])
    assert answer["Instances"] == []
    assert {each["ErrorCode"] for each in answer["Errors"]} == {"InsufficientInstanceCapacity"}
    assert len(create(site)["Instances"]) == 1
    assert len(create(site, market="on-demand", LaunchTemplateConfigs=[template])["Instances"]) == 1
    site.pass_time(HALF_AN_HOUR)
    assert len(create(site, LaunchTemplateConfigs=[template])["Instances"]) == 1
