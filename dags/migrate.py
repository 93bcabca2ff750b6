"""
### What it does
Brings the schemas of the store and of the warehouse to their newest migrations, and checks that they are there.

### Starts
By hand, and by every deployment; never on a schedule.

### Reads
`include/sql/store/migrations`, `include/sql/warehouse/migrations`

### Writes
All schemas of the store, as role `store_owner`, in one transaction under an advisory lock. The schemas of the
warehouse, one transaction a migration, under the lock of its table `ops.schema_version`.

### Running it again
Changes nothing when both are at the newest migration.

### Not guaranteed
There is no way back: a migration is corrected by the next one.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

STATEMENT_TIMEOUT = timedelta(minutes=30)


@dag(
    doc_md=__doc__,
    description="Brings the schemas of the store and of the warehouse to their newest migrations",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=15),
        "execution_timeout": STATEMENT_TIMEOUT,
    },
    tags=["operations", "store", "warehouse"],
)
def migrate() -> None:
    @task
    def migrate_store() -> str:
        """Run the migrations that the store lacks; returns the revision it is at."""
        from sqlalchemy import create_engine

        from marketplace import connections, store

        engine = create_engine("postgresql+psycopg://", creator=connections.store("owner", STATEMENT_TIMEOUT))
        with engine.connect() as connection:
            return store.migrate(connection)

    @task
    def check_store(revision: str) -> None:
        """Check that another role sees the schema at that revision."""
        from marketplace import connections

        with connections.store("writer", STATEMENT_TIMEOUT)() as connection:
            found = connection.execute("select version_num from public.alembic_version").fetchall()
        if found != [(revision,)]:
            raise RuntimeError(f"The writer finds the store at {found}, not at {revision}.")

    @task
    def migrate_warehouse() -> int:
        """Run the migrations that the warehouse lacks; returns the version it is at."""
        from contextlib import closing

        from marketplace import connections, warehouse

        with closing(connections.warehouse(STATEMENT_TIMEOUT)) as connection:
            return warehouse.migrate(connection)

    check_store(migrate_store())
    migrate_warehouse()


migrate()
