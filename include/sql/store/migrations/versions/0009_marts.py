"""What the marts need of the store: see 0009_marts.sql."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0009_marts.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
