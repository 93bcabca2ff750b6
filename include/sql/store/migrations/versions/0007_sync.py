"""What the warehouse sync stands on: see 0007_sync.sql."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0007_sync.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
