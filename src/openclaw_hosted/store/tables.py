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
    Column("image", Text, nullable=False, server_default=""),
    Column("point_id", Text, index=True),
    Column("mark", Text, nullable=False, server_default=""),
)

restore_points = Table(
    "restore_points",
    metadata,
    Column("id", Text, primary_key=True),
    Column("instance_id", Text, nullable=False, index=True),
    Column("made_at", Float, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("size_bytes", BigInteger),
    Column("owner_id", Text, index=True),
)
"""Without a reference to the instance: an orphan's has no row."""

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
    Column("instance_id", Text),
    Column("machine_id", Text, index=True),
    Column("user_id", Text),
    Column("detail", Text, nullable=False, server_default="{}"),
    Column("actor_id", Text),
    Column("actor_role", Text),
    Column("actor_via", Text),
    Column("actor_address", Text),
    Index("ix_events_instance_id_id", "instance_id", "id"),
    Index("ix_events_name", "name", "id"),
    Index("ix_events_user_id", "user_id", "id", postgresql_where=text("user_id IS NOT NULL"), sqlite_where=text("user_id IS NOT NULL")),
    Index(
        "ix_events_actor_id", "actor_id", "id", postgresql_where=text("actor_role IS NOT NULL"), sqlite_where=text("actor_role IS NOT NULL")
    ),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("names", Text, nullable=False, server_default="[]"),
    Column("all_instances", Boolean, nullable=False, server_default=text("false")),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("failing_since", Float),
    Column("disabled_at", Float),
    Column("created_at", Float, nullable=False),
    *_work_columns(),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("webhook_id", Text, ForeignKey("webhooks.id"), nullable=False, index=True),
    Column("message_id", Text, nullable=False),
    Column("event_id", BigInteger),
    Column("type", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", Integer),
    Column("seconds", Float, nullable=False),
    Column("error", Text),
)
"""What came of telling webhooks: the newest of each."""

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

alarms = Table(
    "alarms",
    metadata,
    Column("name", Text, primary_key=True),
    Column("bad_since", Float),
    Column("well_since", Float),
    Column("began_at", Float),
    Column("ended_at", Float),
    Column("value", Float),
    Column("about", Text, nullable=False, server_default=""),
    Column("told", Text, nullable=False, server_default="{}"),
)

key_refusals = Table(
    "key_refusals",
    metadata,
    Column("instance_id", Text, primary_key=True),
    Column("since", Float, nullable=False),
    Column("tokens", BigInteger),
)
"""Instances whose model's provider refuses their key."""

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("since", Float, nullable=False),
    Column("last_at", Float),
    Column("told", Text, nullable=False, server_default="[]"),
)
"""Users who want their news by e-mail, and what they were told."""

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

migrations = Table(
    "migrations",
    metadata,
    Column("user", Text, primary_key=True),
    Column("ref", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Text),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("email", Text),
    Column("owner_id", Text, ForeignKey("users.id")),
    Column("instance_id", Text, ForeignKey("instances.id")),
    Column("desired", Integer),
    Column("route", Text),
    Column("changed_at", Float, nullable=False),
    Column("held_at", Float),
    Column("switched_at", Float),
    Column("error", Text),
    Column("notes", Text, nullable=False, server_default="[]"),
)
"""Users of an older system, and how far they have come."""

history = Table(
    "history",
    metadata,
    Column("resolution", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("data", Text, nullable=False),
)
"""What was counted and sampled, in buckets of a minute, an hour and a day."""

history_cursor = Table(
    "history_cursor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("event_id", BigInteger, nullable=False),
)
"""One row: the newest event that is counted."""
