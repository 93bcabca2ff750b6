"""Play counted by place, day, game and platform: see 0004_activity.sql."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0004_activity.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
