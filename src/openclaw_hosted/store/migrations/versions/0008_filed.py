"""What users need not wait for is written after their instance runs."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("filed_generation", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE instances SET filed_generation = generation")
