"""IAM documents against AWS's own reference of actions, resource types and condition keys, as policy_sentry has it.

Source: the Service Authorization Reference, docs.aws.amazon.com/service-authorization.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy_sentry.querying.actions import get_action_data

EVERYWHERE: Final = {
    "ec2:sourceinstancearn": "is in the credentials of every machine, whatever they call: EC2's guide, on roles",
}
"""Condition keys that the reference does not list with each action."""
UNLISTED: Final = {":spot-instances-request/*": "RunInstances makes one for a Spot machine: Karpenter's own policy grants it"}
"""Ends of resources that the reference does not list with the actions that need them."""


@dataclass(frozen=True)
class Use:
    """One way to use an action: on which resource, under which conditions."""

    arn: str
    """With places such as `${Account}`; `*` where no resource can be named."""
    keys: frozenset[str]
    """In lower case, without what follows a slash."""

    def takes(self, resource: str) -> bool:
        """Whether a statement's resource may be one of these."""
        if "*" in (self.arn, resource):
            return resource == "*"
        ours, theirs = resource.split(":", 5), self.arn.split(":", 5)
        owner = ours[4] in ("", "*") if theirs[4] == "" else True
        return ours[2] == theirs[2] and owner and ours[5].startswith(theirs[5].partition("${")[0])


def problems(document: Mapping[str, Any]) -> Iterator[str]:
    """What of a policy AWS would not heed, or not know."""
    for statement in document["Statement"]:
        actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
        uses = {action: _uses(action) for action in actions}
        for action, found in uses.items():
            if not found:
                yield f"{statement['Sid']}: there is no action {action}"
            elif resources != ["*"] and not any(use.takes(each) for use in found for each in resources):
                yield f"{statement['Sid']}: {action} is about none of {resources}"
            for key in _keys(statement):
                if not key.startswith("aws:principal") and key not in EVERYWHERE and not any(key in use.keys for use in found):
                    yield f"{statement['Sid']}: {action} has no condition key {key}"
        for resource in resources:
            if resource == "*" or resource.endswith(tuple(UNLISTED)):
                continue
            if not any(use.takes(resource) for found in uses.values() for use in found):
                yield f"{statement['Sid']}: none of its actions is about {resource}"


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _keys(statement: Mapping[str, Any]) -> set[str]:
    return {_key(name) for names in statement.get("Condition", {}).values() for name in names}


def _key(name: str) -> str:
    return name.partition("/")[0].lower()


def _uses(action: str) -> list[Use]:
    service, _, name = action.partition(":")
    known = get_action_data(service, name) or {}
    return [Use(row["resource_arn_format"], frozenset(map(_key, row["condition_keys"]))) for row in known.get(service, ())]
