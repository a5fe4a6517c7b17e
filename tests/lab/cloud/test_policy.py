"""How IAM reads policies."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cloud.policy import Decision, Request, decide

KEY = "aws:ResourceTag/Owner"


def decided(statement: dict[str, Any], **context: str | list[str]) -> Decision:
    full: dict[str, Any] = {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*", **statement}
    keys = {key.replace("_", ":").replace("__", "/").lower(): value for key, value in context.items()}
    return decide([{"Statement": full}], Request("ec2:CreateTags", "arn:aws:ec2:us-west-2:1:instance/i-1", keys))


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ({"Action": "ec2:*"}, Decision.ALLOWED),
        ({"Action": "EC2:createtags"}, Decision.ALLOWED),
        ({"Action": ["ec2:Describe*"]}, Decision.SILENT),
        ({"NotAction": "ec2:Describe*"}, Decision.ALLOWED),
        ({"Resource": "arn:aws:ec2:*:*:instance/*"}, Decision.ALLOWED),
        ({"Resource": "arn:aws:ec2:*:*:volume/*"}, Decision.SILENT),
        ({"Effect": "Deny"}, Decision.DENIED),
    ],
)
def test_actions_and_resources_take_wildcards(statement: dict[str, Any], wanted: Decision) -> None:
    assert decided(statement) is wanted


@pytest.mark.parametrize(
    ("operator", "wanted_value", "found", "wanted"),
    [
        ("StringEquals", "a", "a", Decision.ALLOWED),
        ("StringEquals", "a", None, Decision.SILENT),
        ("StringEquals", "a*", "ab", Decision.SILENT),
        ("StringLike", "a*", "ab", Decision.ALLOWED),
        ("StringNotEquals", "a", "b", Decision.ALLOWED),
        ("StringNotEquals", "a", None, Decision.ALLOWED),
        ("StringEqualsIfExists", "a", None, Decision.ALLOWED),
        ("ArnEquals", "arn:aws:ec2:*:1:instance/*", "arn:aws:ec2:r:1:instance/i", Decision.ALLOWED),
        ("ArnLike", "arn:aws:ec2:*:2:instance/*", "arn:aws:ec2:r:1:instance/i", Decision.SILENT),
        ("Null", "true", None, Decision.ALLOWED),
        ("Null", "false", None, Decision.SILENT),
        ("Bool", True, "true", Decision.ALLOWED),
    ],
)
def test_conditions_compare_as_their_operator_says(operator: str, wanted_value: Any, found: str | None, wanted: Decision) -> None:
    context = {} if found is None else {"aws_key": found}
    assert decided({"Condition": {operator: {"aws:key": wanted_value}}}, **context) is wanted


def test_a_variable_without_a_value_fits_nothing() -> None:
    condition = {"StringEquals": {"aws:owner": "${ec2:SourceInstanceARN}"}}
    assert decided({"Condition": condition}, aws_owner="${ec2:SourceInstanceARN}") is Decision.SILENT
    assert decided({"Condition": condition}, aws_owner="x", ec2_sourceinstancearn="x") is Decision.ALLOWED


def test_every_value_has_to_fit_where_a_policy_says_for_all(site_keys: list[str]) -> None:
    condition = {"ForAllValues:StringEquals": {"aws:tagkeys": ["Health"]}}
    assert decided({"Condition": condition}, aws_tagkeys=["Health"]) is Decision.ALLOWED
    assert decided({"Condition": condition}, aws_tagkeys=site_keys) is Decision.SILENT


@pytest.fixture
def site_keys() -> list[str]:
    return ["Health", "Other"]


def test_an_unknown_operator_is_an_error_and_no_answer() -> None:
    with pytest.raises(ValueError, match="IpAddress"):
        decided({"Condition": {"IpAddress": {"aws:sourceip": "10.0.0.0/8"}}}, aws_sourceip="10.1.1.1")
