"""What CloudWatch alarms do on AWS, and bare moto's do not."""

from __future__ import annotations

from typing import Any

from tests.lab.cloud.support import Site


def alarm(site: Site, **asked: Any) -> None:
    request: dict[str, Any] = {
        "AlarmName": "pool-empty",
        "Namespace": "OpenClaw",
        "MetricName": "Spares",
        "Statistic": "Minimum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "LessThanThreshold",
    }
    site.client("cloudwatch").put_metric_alarm(**{**request, **asked})


def put(site: Site, *values: float) -> None:
    site.client("cloudwatch").put_metric_data(Namespace="OpenClaw", MetricData=[{"MetricName": "Spares", "Values": list(values)}])


def state(site: Site) -> str:
    site.cloud.tick()
    return str(site.client("cloudwatch").describe_alarms(AlarmNames=["pool-empty"])["MetricAlarms"][0]["StateValue"])


def test_an_alarm_follows_its_metric(site: Site) -> None:
    alarm(site)
    assert state(site) == "INSUFFICIENT_DATA"
    put(site, 2)
    assert state(site) == "OK"
    put(site, 3, 0)
    assert state(site) == "ALARM"
    site.pass_time(61)
    put(site, 2)
    assert state(site) == "OK"


def test_missing_data_is_what_the_alarm_says(site: Site) -> None:
    for treat, wanted in (("missing", "INSUFFICIENT_DATA"), ("breaching", "ALARM"), ("notBreaching", "OK"), ("ignore", "OK")):
        alarm(site, TreatMissingData=treat)
        put(site, 2)
        assert state(site) == "OK"
        site.pass_time(61)
        assert state(site) == wanted


def test_several_periods_have_to_breach(site: Site) -> None:
    alarm(site, EvaluationPeriods=3, DatapointsToAlarm=2, TreatMissingData="notBreaching")
    put(site, 0)
    assert state(site) == "OK"
    site.pass_time(60)
    put(site, 0)
    assert state(site) == "ALARM"


def test_statistics_are_of_all_values_of_a_period(site: Site) -> None:
    alarm(site, Statistic="Sum", ComparisonOperator="GreaterThanOrEqualToThreshold", Threshold=6)
    put(site, 1, 2)
    assert state(site) == "OK"
    put(site, 3)
    assert state(site) == "ALARM"
