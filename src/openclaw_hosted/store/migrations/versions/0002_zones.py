"""Instances remember the zone of their volume."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("zone", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE instances SET zone = COALESCE((SELECT zone FROM machines WHERE machines.id = instances.machine_id), '')")
