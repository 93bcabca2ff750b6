"""What is measured of the store for the alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from marketplace.store import query

if TYPE_CHECKING:
    import psycopg

    from marketplace.ingest.objects import LandedObject


def measure(
    connection: psycopg.Connection[Any], landed: Sequence[LandedObject], dashboard_as_of: str | None
) -> dict[str, float]:
    """Return the numbers by the names that the alarms know.

    `landed` is the listing of landing/, `dashboard_as_of` the moment that the published dashboard shows, in ISO format,
    None when there is none. RejectedShare is in percent, OldestWaitingFileSeconds and DashboardSecondsBehind in seconds
    (0 when no file waits, and no load that the dashboard does not show), the others are counts.
    """
    objects = [
        {"object_key": one.object_key, "version_id": one.version_id, "put_at": one.put_at.isoformat()} for one in landed
    ]
    parameters = {"objects": Jsonb(objects), "dashboard_as_of": dashboard_as_of}
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query("monitoring/measure.sql"), parameters).fetchone() or {}
        held = cursor.execute(query("status/held.sql")).fetchall()  # the page's: both tell the same number
    return {
        "WaitingFiles": float(found["waiting_files"]),
        "OldestWaitingFileSeconds": float(found["oldest_waiting_file_s"]),
        "RejectedShare": float(found["rejected_percent"]),
        "HeldRows": float(sum(group["rows"] for group in held)),
        "NotificationsUnaccounted": float(found["notifications_unaccounted"]),
        "DashboardSecondsBehind": float(found["dashboard_behind_s"]),
    }
