"""What is kept: a store per aggregate. Each method is one transaction.

Leases use the store's own clock. Methods that take a `Lease` are guarded: they change nothing and raise `LeaseLost` where the
row is no longer held under that token. Methods that take an `Event` write it in the same transaction. Once it is committed, the store
wakes whoever has work by it: nobody else gives hints.
"""

from openclaw_hosted.ports.stores.accounts import AccountStore
from openclaw_hosted.ports.stores.adoption import AdoptionStore
from openclaw_hosted.ports.stores.history import HistoryStore, Standing
from openclaw_hosted.ports.stores.instances import Caps, CredentialSealing, IdempotencyKey, InstanceRule, InstanceStore, NewInstance
from openclaw_hosted.ports.stores.lease import Lease
from openclaw_hosted.ports.stores.machines import LossRule, MachineRule, MachineStore, NewMachine
from openclaw_hosted.ports.stores.migrations import MigrationStore
from openclaw_hosted.ports.stores.news import NewsStore
from openclaw_hosted.ports.stores.platform import PRUNED_AT_ONCE, Hints, PlatformStore, PoolMemory
from openclaw_hosted.ports.stores.restore_points import RestorePointStore
from openclaw_hosted.ports.stores.webhooks import WebhookStore

__all__ = [
    "PRUNED_AT_ONCE",
    "AccountStore",
    "AdoptionStore",
    "Caps",
    "CredentialSealing",
    "Hints",
    "HistoryStore",
    "IdempotencyKey",
    "InstanceRule",
    "InstanceStore",
    "Lease",
    "LossRule",
    "MachineRule",
    "MachineStore",
    "MigrationStore",
    "NewInstance",
    "NewMachine",
    "NewsStore",
    "PlatformStore",
    "PoolMemory",
    "RestorePointStore",
    "Standing",
    "WebhookStore",
]
