"""The tables. Times are seconds since the epoch, UTC; ids are the domain's."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
BigId = BigInteger().with_variant(Integer(), "sqlite")


def _work_columns() -> list[Column[object]]:
    """What makes a row a work item."""
    return [
        Column("lease_token", Text),
        Column("lease_expires_at", Float, nullable=False, server_default="0"),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("next_attempt_at", Float, nullable=False, server_default="0"),
        Column("last_error", Text),
    ]


users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Float, nullable=False),
)

machines = Table(
    "machines",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reserved_instance_id", Text, nullable=False, unique=True),
    Column("volume_id", Text, nullable=False, unique=True),
    Column("image", Text, nullable=False),
    Column("warmth", Text, nullable=False),
    Column("instance_id", Text),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("provider_ref", Text, unique=True),
    Column("address", Text),
    Column("zone", Text, nullable=False, server_default=""),
    Column("failure", Text),
    Column("notice", Text),
    Column("leaves_at", Float),
    Column("created_at", Float, nullable=False),
    Column("state_changed_at", Float, nullable=False),
    *_work_columns(),
    Index(
        "uq_machines_serving_instance",
        "instance_id",
        unique=True,
        postgresql_where=text("state = 'assigned'"),
        sqlite_where=text("state = 'assigned'"),
    ),
    Index("ix_machines_state", "state", "created_at"),
)

observations = Table(
    "observations",
    metadata,
    Column("machine_id", Text, ForeignKey("machines.id"), primary_key=True),
    Column("bad_looks", Integer, nullable=False),
    Column("restarts", Integer),
    Column("answered", Boolean, nullable=False),
    Column("answering_since", Float),
    Column("touched_at", Float),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("desired", Text, nullable=False),
    Column("phase", Text, nullable=False, index=True),
    Column("settings", Text, nullable=False),
    Column("credential_names", Text, nullable=False, server_default="[]"),
    Column("sealed_credentials", LargeBinary),
    Column("sealed_revision", Integer),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("machine_id", Text, ForeignKey("machines.id"), unique=True),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("applied_revision", Integer),
    Column("restarts_asked", Integer, nullable=False, server_default="0"),
    Column("restarts_done", Integer, nullable=False, server_default="0"),
    Column("filed_generation", Integer, nullable=False, server_default="0"),
    Column("created_at", Float, nullable=False),
    Column("phase_changed_at", Float, nullable=False),
    Column("deleted_at", Float),
    Column("purge_after", Float),
    *_work_columns(),
)

volumes = Table(
    "volumes",
    metadata,
    Column("instance_id", Text, ForeignKey("instances.id"), primary_key=True),
    Column("state", Text, nullable=False),
    Column("zone", Text, nullable=False, server_default=""),
)

steps = Table(
    "steps",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("instance_id", Text, ForeignKey("instances.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("error", Text),
    Column("note", Text),
    UniqueConstraint("instance_id", "name", "generation", "attempt", "started_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("instance_id", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("confirmed_at", Float, nullable=False, server_default="0"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)

links = Table(
    "links",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("email", Text),
    Column("role", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("session_hash", Text, primary_key=True),
    Column("instance_id", Text, primary_key=True),
    Column("expires_at", Float, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("instance_id", Text, index=True),
    Column("machine_id", Text, index=True),
    Column("user_id", Text),
    Column("detail", Text, nullable=False, server_default="{}"),
    Column("actor_id", Text),
    Column("actor_role", Text),
    Column("actor_via", Text),
    Column("actor_address", Text),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

shortages = Table(
    "shortages",
    metadata,
    Column("zone", Text, primary_key=True),
    Column("times", Integer, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("error", Text, nullable=False),
)

orphans = Table(
    "orphans",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", Float, nullable=False),
    Column("state", Text, nullable=False),
)

identity = Table("identity", metadata, Column("mark", Text, primary_key=True))
"""One row: what tells this platform from others on the same host."""

pool = Table(
    "pool",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("spares", Integer),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("failures_in_row", Integer, nullable=False, server_default="0"),
    Column("last_failure_at", Float),
    Column("last_error", Text),
    Column("status", Text, nullable=False, server_default="filling"),
    Column("note", Text),
)
