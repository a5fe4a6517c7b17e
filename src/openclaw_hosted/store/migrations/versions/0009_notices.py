"""What was said of a machine's end, and until when it goes on to serve an instance that moves."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("machines") as machines:
        machines.add_column(sa.Column("notice", sa.Text()))
        machines.add_column(sa.Column("leaves_at", sa.Float()))
