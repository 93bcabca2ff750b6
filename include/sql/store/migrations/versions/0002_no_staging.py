"""Loads stage their rows in temporary tables: see 0002_no_staging.sql."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0002_no_staging.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
