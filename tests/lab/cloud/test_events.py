"""What AWS says of machines by itself, and bare moto does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.cloud.support import Site, until


def queue_of(site: Site, *kinds: str) -> str:
    """A queue that EventBridge puts these events into."""
    sqs, events = site.client("sqs"), site.client("events")
    url = str(sqs.create_queue(QueueName="notices")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="notices", EventPattern=json.dumps({"source": ["aws.ec2"], "detail-type": list(kinds)}))
    events.put_targets(Rule="notices", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def received(site: Site, url: str) -> list[Any]:
    messages = site.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", [])
    for message in messages:
        site.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]


def test_a_spot_machine_has_two_minutes_notice_and_is_then_ended(site: Site) -> None:
    url = queue_of(site, "EC2 Spot Instance Interruption Warning")
    (instance_id,) = site.launch()
    assert site.cloud.metadata(instance_id).interruption is None
    site.cloud.interrupt(instance_id)
    (event,) = received(site, url)
    assert (event["source"], event["detail-type"]) == ("aws.ec2", "EC2 Spot Instance Interruption Warning")
    assert event["detail"] == {"instance-id": instance_id, "instance-action": "terminate"}
    assert event.keys() == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert (event["account"], event["region"], event["time"]) == (site.cloud.account_id, "us-west-2", "2027-01-15T08:00:00Z")
    notice = site.cloud.metadata(instance_id).interruption
    assert notice is not None
    assert notice["action"] == "terminate"
    site.pass_time(119)
    site.cloud.tick()
    assert site.state(instance_id) == "running"
    site.pass_time(1)
    site.cloud.tick()
    until(lambda: site.state(instance_id), lambda state: state == "terminated")


def test_a_rebalance_recommendation_is_an_event_and_ends_nothing(site: Site) -> None:
    url = queue_of(site, "EC2 Instance Rebalance Recommendation")
    (instance_id,) = site.launch()
    site.cloud.rebalance(instance_id)
    (event,) = received(site, url)
    assert event["detail"] == {"instance-id": instance_id}
    assert site.cloud.metadata(instance_id).rebalance == {"noticeTime": "2027-01-15T08:00:00Z"}
    site.pass_time(3600)
    assert site.state(instance_id) == "running"


def test_only_spot_machines_are_interrupted(site: Site) -> None:
    with pytest.raises(LookupError):
        site.cloud.interrupt("i-0000000000000000f")
    made = site.client("ec2").run_instances(ImageId="ami-0abcdef1234567890", InstanceType="t3.small", MinCount=1, MaxCount=1)
    with pytest.raises(LookupError):
        site.cloud.interrupt(made["Instances"][0]["InstanceId"])


def test_changes_of_state_are_events(site: Site) -> None:
    url = queue_of(site, "EC2 Instance State-change Notification")
    (instance_id,) = site.launch()
    site.cloud.tick()
    site.client("ec2").terminate_instances(InstanceIds=[instance_id])
    site.cloud.settle()
    site.cloud.tick()
    states = [event["detail"]["state"] for event in received(site, url)]
    assert states[-1] == "terminated"
    assert "running" in states
