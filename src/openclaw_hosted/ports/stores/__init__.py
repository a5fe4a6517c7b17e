"""What is kept: a store per aggregate. Each method is one transaction.

Leases use the store's own clock. Methods that take a `Lease` are guarded: they change nothing and raise `LeaseLost` where the
row is no longer held under that token. Methods that take an `Event` write it in the same transaction.
"""

from openclaw_hosted.ports.stores.accounts import AccountStore
from openclaw_hosted.ports.stores.instances import Caps, CredentialSealing, IdempotencyKey, InstanceStore, NewInstance
from openclaw_hosted.ports.stores.lease import Lease
from openclaw_hosted.ports.stores.machines import MachineStore, NewMachine
from openclaw_hosted.ports.stores.platform import Hints, PlatformStore, PoolMemory

__all__ = [
    "AccountStore",
    "Caps",
    "CredentialSealing",
    "Hints",
    "IdempotencyKey",
    "InstanceStore",
    "Lease",
    "MachineStore",
    "NewInstance",
    "NewMachine",
    "PlatformStore",
    "PoolMemory",
]
