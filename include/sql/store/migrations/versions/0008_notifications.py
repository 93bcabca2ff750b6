"""Notification rules, texts, and accounts: see 0008_notifications.sql."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the SQL file of the same name, as one script on the driver's connection."""
    script = Path(__file__).parents[1] / "0008_notifications.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
