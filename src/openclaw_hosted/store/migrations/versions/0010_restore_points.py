"""Restore points have rows, and volumes say which release uses them and what they are to be made from."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "restore_points",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("owner_id", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restore_points")),
    )
    op.create_index(op.f("ix_restore_points_instance_id"), "restore_points", ["instance_id"])
    op.create_index(op.f("ix_restore_points_owner_id"), "restore_points", ["owner_id"])
    with op.batch_alter_table("volumes") as volumes:
        volumes.add_column(sa.Column("image", sa.Text(), nullable=False, server_default=""))
        volumes.add_column(sa.Column("point_id", sa.Text()))
        volumes.add_column(sa.Column("mark", sa.Text(), nullable=False, server_default=""))
    op.create_index(op.f("ix_volumes_point_id"), "volumes", ["point_id"])
