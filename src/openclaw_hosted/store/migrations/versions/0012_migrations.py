"""Users of an older system, and how far they have come."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "migrations",
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("step", sa.Text()),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("email", sa.Text()),
        sa.Column("owner_id", sa.Text()),
        sa.Column("instance_id", sa.Text()),
        sa.Column("desired", sa.Integer()),
        sa.Column("route", sa.Text()),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("held_at", sa.Float()),
        sa.Column("switched_at", sa.Float()),
        sa.Column("error", sa.Text()),
        sa.Column("notes", sa.Text(), nullable=False, server_default="[]"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_migrations_owner_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_migrations_instance_id")),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_migrations")),
    )
