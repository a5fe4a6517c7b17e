"""Time that a store counts by its database's clock, moved."""

from __future__ import annotations

from openclaw_hosted.store import Store, tables


async def leases_run_out(store: Store) -> None:
    """All that a killed control plane held is free, as it is once its leases have ended."""
    async with store.database.write() as connection:
        for work in (tables.instances, tables.machines):
            await connection.execute(work.update().where(work.c.lease_token.is_not(None)).values(lease_expires_at=0))
        await connection.execute(tables.leases.update().values(expires_at=0))
