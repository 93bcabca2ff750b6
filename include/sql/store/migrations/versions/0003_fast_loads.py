"""What makes loads fast: see 0003_fast_loads.sql."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0003_fast_loads.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
