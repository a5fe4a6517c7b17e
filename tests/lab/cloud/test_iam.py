"""The lengths that IAM allows: reference_iam-quotas in IAM's user guide."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud.iam import INLINE_CHARACTERS, MANAGED_CHARACTERS, MOST_MANAGED, length
from tests.lab.cloud.support import Site


def policy(characters: int, indent: int | None = None) -> str:
    """A policy of that many characters, however much white space is between them."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    statement["Resource"] += "x" * (characters - length(json.dumps(document)))
    return json.dumps(document, indent=indent)


def test_a_managed_policy_has_6144_characters_at_most_and_white_space_does_not_count(site: Site) -> None:
    iam = site.client("iam")
    arn = iam.create_policy(PolicyName="longest", PolicyDocument=policy(MANAGED_CHARACTERS, 8))["Policy"]["Arn"]
    with pytest.raises(ClientError, match=r"LimitExceeded.*PolicySize: 6144"):
        iam.create_policy(PolicyName="longer", PolicyDocument=policy(MANAGED_CHARACTERS + 1))
    with pytest.raises(ClientError, match=r"LimitExceeded.*PolicySize: 6144"):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(MANAGED_CHARACTERS + 1), SetAsDefault=True)


def test_the_policies_that_a_role_holds_itself_have_10240_characters_in_sum(site: Site) -> None:
    iam = site.client("iam")
    iam.put_role_policy(RoleName="machine", PolicyName="one", PolicyDocument=policy(INLINE_CHARACTERS - 1000))
    iam.put_role_policy(RoleName="machine", PolicyName="one", PolicyDocument=policy(INLINE_CHARACTERS - 500))
    iam.put_role_policy(RoleName="machine", PolicyName="two", PolicyDocument=policy(500))
    with pytest.raises(ClientError, match=r"LimitExceeded.*RolePolicySize: 10240"):
        iam.put_role_policy(RoleName="machine", PolicyName="two", PolicyDocument=policy(501))


def test_a_role_takes_ten_managed_policies(site: Site) -> None:
    iam = site.client("iam")
    arns = [iam.create_policy(PolicyName=f"p{number}", PolicyDocument=policy(200))["Policy"]["Arn"] for number in range(MOST_MANAGED + 1)]
    for arn in arns[:-1]:
        iam.attach_role_policy(RoleName="machine", PolicyArn=arn)
    iam.attach_role_policy(RoleName="machine", PolicyArn=arns[0])
    with pytest.raises(ClientError, match=r"LimitExceeded.*PoliciesPerRole: 10"):
        iam.attach_role_policy(RoleName="machine", PolicyArn=arns[-1])
