"""What the metadata address tells a machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab.plane.base import Metadata

if TYPE_CHECKING:
    from lab.cloud.account import Account


def metadata(account: Account, instance_id: str) -> Metadata:
    """Of one machine, with credentials of its own. Raises `LookupError`."""
    with account.lock:
        row = account.fleet.rows.get(instance_id)
        if row is None or row.state == "terminated":
            raise LookupError(instance_id)
        key = account.access.issue(account, row)
        credentials = {}
        if key is not None:
            expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key.expires_at))
            credentials = {"AccessKeyId": key.access_key, "SecretAccessKey": key.secret, "Token": key.token, "Expiration": expiration}
        nic = row.instance.nics[0]
        return Metadata(
            instance_id=instance_id,
            zone=str(row.instance.availability_zone),
            region=account.region,
            role_name=row.role_name,
            credentials=credentials,
            tags=dict(account.ec2.tags.get(instance_id, {})),
            interruption=row.interruption,
            rebalance=row.rebalance,
            public_ipv4=nic.public_ip or None,
            ipv6=next(iter(nic.ipv6_addresses), None),
        )
