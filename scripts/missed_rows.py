"""Write the table of docs/warehouse.md that says what each way to copy has missed of the workload of tests/sync.

    PYTHONPATH=dags .venv/airflow/bin/python -m scripts.missed_rows

Starts a platform of its own, installs dlt and sling beside it, and takes SECONDS for each of them.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from local import aws, warehouse
from local.platform import Platform
from marketplace import warehouse as migrations
from scripts import marked
from tests.conftest import make_store_template, temporary_platform
from tests.sync import peers
from tests.sync.conftest import make_synced, new_database

PAGE = Path(__file__).resolve().parents[1] / "docs" / "warehouse.md"
START = "<!-- Measured and written by `python -m scripts.missed_rows`. Do not edit. -->"
SEED = 20261121
SECONDS = 60
OURS = "this sync"


def measured(platform: Platform, name: str, template: str) -> peers.Missed:
    """Return what one way to copy has missed, with databases of its own."""
    with new_database(platform, template) as store, new_database(platform) as target:
        owner, writer = (platform.store_url(role, store) for role in ("store_owner", "store_writer"))
        peer, url = peers.PEERS.get(name), platform.store_url("store_owner", target)
        if peer is None:
            synced = make_synced(platform, lambda role: platform.store_url(role, store))
            peer, url = peers.of(synced), synced.warehouse_url
        return peers.measure(peer, owner, writer, url, SEED, SECONDS)


def content(found: dict[str, peers.Missed]) -> str:
    """Return the table."""
    lines = [
        f"{SECONDS} s of the workload for each, seed {SEED}, {datetime.now(UTC):%Y-%m-%d}; counted after a last"
        " sync that began when all writers had ended.",
        "",
        "| | syncs | rows in the store | missing | stale | not deleted |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {one.syncs} | {one.rows:,} | {one.missing} | {one.stale} | {one.undeleted} |"
        for name, one in found.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure all, and write the table."""
    with temporary_platform() as platform, aws.environment(platform.public_environment()):
        template = make_store_template(platform)
        with closing(warehouse.connect(platform.state)) as connection:
            migrations.migrate(connection)
        found = {}
        for name in (OURS, *peers.PEERS):
            found[name] = measured(platform, name, template)
            print(name, found[name], flush=True)
    PAGE.write_text(marked.replaced(PAGE.read_text(encoding="utf-8"), START, content(found)), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
