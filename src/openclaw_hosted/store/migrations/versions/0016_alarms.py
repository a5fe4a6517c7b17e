"""How each alarm is, and who was told."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bad_since", sa.Float()),
        sa.Column("well_since", sa.Float()),
        sa.Column("began_at", sa.Float()),
        sa.Column("ended_at", sa.Float()),
        sa.Column("value", sa.Float()),
        sa.Column("about", sa.Text(), nullable=False, server_default=""),
        sa.Column("told", sa.Text(), nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarms")),
    )
