"""Sessions remember when the password was last given; the platform has a mark of its own."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("confirmed_at", sa.Float(), nullable=False, server_default="0"))
    mark = sa.Column("mark", sa.Text(), nullable=False)
    identity = op.create_table("identity", mark, sa.PrimaryKeyConstraint("mark", name=op.f("pk_identity")))
    op.bulk_insert(identity, [{"mark": secrets.token_hex(4)}])
