"""Keys that were refused, and users who want their news by e-mail."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_refusals",
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("tokens", sa.BigInteger()),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_key_refusals")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float()),
        sa.Column("told", sa.Text(), nullable=False, server_default="[]"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_subscriptions_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_subscriptions")),
    )
