"""Events keep who caused them, and by which way. Of earlier ones it is not known."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("actor_id", "actor_role", "actor_via", "actor_address"):
        op.add_column("events", sa.Column(name, sa.Text()))
