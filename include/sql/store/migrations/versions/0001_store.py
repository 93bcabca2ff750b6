"""The store as it begins: see 0001_store.sql."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0001_store.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
