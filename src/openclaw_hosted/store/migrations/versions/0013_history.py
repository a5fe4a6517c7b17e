"""How the platform did over time, and indexes by which operators look for events."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "history",
        sa.Column("resolution", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("start", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("resolution", "start", name=op.f("pk_history")),
    )
    cursor = op.create_table(
        "history_cursor",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history_cursor")),
    )
    op.bulk_insert(cursor, [{"id": 1, "event_id": 0}])
    op.create_index("ix_events_name", "events", ["name", "id"])
    for column, given in (("user_id", "user_id"), ("actor_id", "actor_role")):
        known = sa.text(f"{given} IS NOT NULL")
        op.create_index(f"ix_events_{column}", "events", [column, "id"], postgresql_where=known, sqlite_where=known)
