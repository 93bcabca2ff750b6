"""What the warehouse gets of notifications: see 0010_reach.sql."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0010_reach.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
