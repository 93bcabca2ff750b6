"""A run of correct_alias does its work once: see 0006_correction_once.sql."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0006_correction_once.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
