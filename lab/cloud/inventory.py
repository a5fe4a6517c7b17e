"""Everything that costs money, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.secretsmanager.models import secretsmanager_backends

from lab.cloud.fleet import refresh_all

if TYPE_CHECKING:
    from lab.cloud.account import Account


def inventory(account: Account) -> dict[str, int]:
    """How many of each kind there are. Machines count until they are terminated, secrets pending deletion by themselves."""
    with account.lock:
        refresh_all(account)
        ec2, elbv2 = account.ec2, account.elbv2
        secrets = list(dict.values(secretsmanager_backends[account.account_id][account.region].secrets))
        listeners = [listener for balancer in elbv2.load_balancers.values() for listener in balancer.listeners.values()]
        return {
            "instances": sum(row.state != "terminated" for row in account.fleet.rows.values()),
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
