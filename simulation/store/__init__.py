"""The stores in memory, as SQLite and Postgres behave: one clock, leases, unique rows, caps, idempotency, atomic transactions."""
