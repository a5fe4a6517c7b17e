"""Everything that costs money, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.autoscaling.models import autoscaling_backends
from moto.ecs.models import ecs_backends
from moto.efs.models import efs_backends
from moto.secretsmanager.models import secretsmanager_backends

from lab.cloud.fleet import refresh_all

if TYPE_CHECKING:
    from lab.cloud.account import Account


def inventory(account: Account) -> dict[str, int]:
    """How many of each kind there are. Machines count until they are terminated, those of Auto Scaling groups and secrets pending deletion
    by themselves."""
    with account.lock:
        refresh_all(account)
        ec2, elbv2 = account.ec2, account.elbv2
        where, region = account.account_id, account.region
        secrets = list(dict.values(secretsmanager_backends[where][region].secrets))
        groups = list(autoscaling_backends[where][region].autoscaling_groups.values())
        listeners = [listener for balancer in elbv2.load_balancers.values() for listener in balancer.listeners.values()]
        return {
            "instances": sum(row.state != "terminated" for row in account.fleet.rows.values()),
            "group_machines": sum(len(group.instance_states) for group in groups),
            "tasks": sum(service.desired_count for service in ecs_backends[where][region].services.values()),
            "nat_gateways": sum(gateway.state != "deleted" for gateway in ec2.nat_gateways.values()),
            "file_systems": len(efs_backends[where][region].file_systems_by_id),
            "volumes": len(ec2.volumes),
            "snapshots": sum(snapshot.owner_id == account.account_id for snapshot in ec2.snapshots.values()),
            "network_interfaces": len(ec2.enis),
            "addresses": len(ec2.addresses) + sum(bool(nic.public_ip) for nic in ec2.enis.values()),
            "launch_templates": len(ec2.launch_templates),
            "load_balancers": len(elbv2.load_balancers),
            "listeners": len(listeners),
            "rules": sum(rule.priority != "default" for listener in listeners for rule in listener.rules.values()),
            "target_groups": len(elbv2.target_groups),
            "targets": sum(row.draining_since is None for rows in account.targets.groups.values() for row in rows.values()),
            "secrets": sum(not secret.is_deleted() for secret in secrets),
            "secrets_pending_deletion": sum(secret.is_deleted() for secret in secrets),
        }
