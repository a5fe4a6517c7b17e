"""Volumes and what was seen of machines have rows; a loss that two transactions told half of is told whole."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MADE = """
SELECT id, CASE
    WHEN phase = 'purged' THEN 'purged'
    WHEN phase IN ('running', 'updating') OR EXISTS (
        SELECT 1 FROM steps WHERE steps.instance_id = instances.id AND name = 'volume' AND ended_at IS NOT NULL AND error IS NULL
    ) THEN 'made'
    ELSE 'wanted' END, zone
FROM instances
"""
DESERTED = """
UPDATE instances SET phase = 'replacing', machine_id = NULL
WHERE phase = 'running' AND machine_id IN (SELECT id FROM machines WHERE state IN ('terminating', 'terminated'))
"""


def upgrade() -> None:
    op.create_table(
        "volumes",
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_volumes")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_volumes_instance_id")),
    )
    op.create_table(
        "observations",
        sa.Column("machine_id", sa.Text(), nullable=False),
        sa.Column("bad_looks", sa.Integer(), nullable=False),
        sa.Column("restarts", sa.Integer(), nullable=True),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("answering_since", sa.Float(), nullable=True),
        sa.Column("touched_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("machine_id", name=op.f("pk_observations")),
        sa.ForeignKeyConstraint(["machine_id"], ["machines.id"], name=op.f("fk_observations_machine_id")),
    )
    op.execute(f"INSERT INTO volumes (instance_id, state, zone) {MADE}")
    op.execute(DESERTED)
    op.execute("UPDATE machines SET warmth = 'booted' WHERE warmth = 'pulled'")
    with op.batch_alter_table("instances") as batch:
        batch.drop_constraint(op.f("uq_instances_volume_id"), type_="unique")
        batch.drop_column("volume_id")
        batch.drop_column("zone")
