"""What `bench.marts` measures, each as the task of the DAG does it. What is imported here does not count."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import redshift_connector

from bench.case import Done
from marketplace.reporting import figures, publish
from marketplace.reporting import marts as reporting_marts


def marts(warehouse: dict[str, Any], rows: int) -> Done:
    """Build all marts, though they are of the last sync already."""
    with closing(redshift_connector.connect(**warehouse)) as connection:
        with closing(connection.cursor()) as cursor:
            cursor.execute("update mart.built set run_id = 'before'")
        connection.commit()
        reporting_marts.build(connection)
    return Done(rows)


def dashboard(warehouse: dict[str, Any], rows: int) -> Done:
    """Read the figures of the last 90 days and draw them."""
    with closing(redshift_connector.connect(**warehouse)) as connection:
        publish.files(figures.read(connection, 90))
    return Done(rows)
