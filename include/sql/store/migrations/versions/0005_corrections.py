"""Corrections by people, and raw lines that expire: see 0005_corrections.sql."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0005_corrections.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
