"""Applying one load's staged rows: resolved and compared with the store, written into it, and accounted for."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from marketplace.contracts import Contract
from marketplace.ingest.ledger import Account, Connection, Load, execute, fetch_row
from marketplace.ingest.stage import Staging
from marketplace.store import has_query, query

log = logging.getLogger(__name__)

# Of the load's own transaction. Rows are sorted and hashed by the hundred thousand, by one process (temporary tables
# are not read in parallel); compiling the expressions takes longer than it saves; of a table that is read some times, a
# sample of 3,000 rows tells the planner what it needs in a tenth of the time that 30,000 take; and it overrates what a
# memory of keys looked up would save, where nearly each comes once: five million look-ups instead of one hash join took
# twice as long.
SETTINGS = {"work_mem": "128MB", "jit": "off", "default_statistics_target": "10", "enable_memoize": "off"}

# Kept by triggers on the tables that they are derived from.
DERIVED = frozenset({"geo.activity"})

# Keys in one row of ops.confirmation.
PACK = 2_000


def apply(
    connection: Connection,
    contract: Contract,
    load: Load,
    staging: Staging,
    account: Account,
) -> None:
    """Bring the staged rows into the store, under the locks of the caller, and complete the account."""
    for name, value in SETTINGS.items():
        connection.execute("select set_config(%s, %s, true)", (name, value))
    order = fetch_row(connection, "ledger/file_order.sql", {"load_id": load.load_id})
    parameters = {"load_id": load.load_id, "dataset": contract.dataset, "pack": PACK, **order}
    # A file that nothing came after, read for the first time, can meet no later report.
    contested = bool(order["later_loads"]) or len(order["same_file"]) > 1
    rows = sql.Identifier("pg_temp", f"load_{load.load_id}_row")
    tables = {"stage": staging.stage, "issues": staging.issues, "rows": rows}
    key_text = _key_text(contract)

    with _logged("compared with the store"):
        connection.execute(sql.SQL("analyze {}, {}").format(staging.stage, staging.references))
        tables |= _look_up(connection, contract, load, staging.references)
        if has_query(f"ingest/{contract.dataset}/prepare.sql"):
            execute(connection, f"{contract.dataset}/prepare.sql", parameters, **tables)
        found = query(f"ingest/{contract.dataset}/rows.sql", **tables)
        execute(connection, "verdict.sql", parameters, rows=rows, found=found, key=_key(contract))
        connection.execute(sql.SQL("analyze {}").format(rows))
    if contested:
        with _logged("compared with what later files confirmed"):
            execute(connection, "yield.sql", parameters, rows=rows, key=key_text)
    outcomes = _outcomes(connection, contract, rows, staged=account.read - account.rejected)
    written = outcomes["inserted"] + outcomes["updated"]
    with _logged(f"{written:,} rows written, {outcomes['unchanged']:,} found unchanged"):
        execute(connection, f"{contract.dataset}/apply.sql", parameters, **tables, settle=settle(contract.dataset))
    if outcomes["unchanged"]:
        with _logged("confirmations written"):
            execute(connection, "confirm.sql", parameters, rows=rows, key=key_text)
            if outcomes["unchanged"] >= PACK:
                execute(connection, "prune.sql", parameters)
    with _logged("held and rejected rows and issues written"):
        execute(connection, "quarantine.sql", parameters, **tables)

    account.rejected += outcomes.pop("rejected")
    for outcome, count in outcomes.items():
        setattr(account, outcome, count)
    counted = connection.execute("select count(*) from ops.issue where load_id = %s", (load.load_id,)).fetchone()
    account.issues = counted[0] if counted else 0
    account.tables_changed = changed_tables(connection, contract)


def settle(dataset: str) -> sql.Composed:
    """Return the script that settles what the source ids of a dataset stand for; empty where nothing is to be settled.

    It looks at the names in the temporary table `affected`; loads and corrections by people both run it.
    """
    path = f"ingest/{dataset}/settle.sql"
    return query(path) if has_query(path) else sql.Composed([])


def _look_up(
    connection: Connection, contract: Contract, load: Load, references: sql.Identifier
) -> dict[str, sql.Identifier]:
    """Look up what each column of references names, by the SQL of the dataset that it refers to.

    Returns the temporary tables by the placeholders by which the dataset's scripts join them: `named_COLUMN`.
    """
    found = {}
    for number, column in enumerate(contract.columns):
        if column.type != "reference":
            continue
        named = sql.Identifier("pg_temp", f"load_{load.load_id}_named_{number}")
        execute(
            connection, "look_up.sql", {"column_name": column.name}, reference_texts=references, named=named,
            look_up=query(f"ingest/{column.references}/look_up.sql"),
        )  # fmt: skip
        found[f"named_{column.name}"] = named
    return found


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log what was done, with the seconds that it took."""
    started = time.monotonic()
    yield
    log.info("%s in %.1f s", what, time.monotonic() - started)


def _key(contract: Contract) -> sql.Composed:
    """Return the key's columns as rows are sorted by: text by its bytes, which is quick and as good as any order."""
    types = dict(contract.stage_columns)
    return sql.SQL(", ").join(
        sql.SQL('f.{} collate "C"' if types[name] == "text" else "f.{}").format(sql.Identifier(name))
        for name in contract.key
    )


def _key_text(contract: Contract) -> sql.Composable:
    """Return the expression of a row's key as one text, as ops.confirmation has it."""
    columns = [sql.SQL("f.{}").format(sql.Identifier(name)) for name in contract.key]
    if len(columns) == 1:
        return sql.SQL("{}::text").format(columns[0])
    return sql.SQL("row({})::text").format(sql.SQL(", ").join(columns))


def _outcomes(connection: Connection, contract: Contract, rows: sql.Identifier, *, staged: int) -> dict[str, int]:
    """Return how many rows have each outcome.

    Raises RuntimeError when the dataset's SQL gave another one, or not as many rows as were staged.
    """
    counts = dict.fromkeys(("rejected", "held", "inserted", "updated", "unchanged", "superseded"), 0)
    counted = connection.execute(sql.SQL("select outcome, count(*) from {} group by outcome").format(rows))
    for outcome, count in counted.fetchall():
        if outcome not in counts:
            raise RuntimeError(
                f"include/sql/store/ingest/{contract.dataset}/rows.sql gives {count} rows the outcome {outcome!r}: "
                "a refusal is 'held' or 'rejected', an effect 'inserted', 'updated' or 'unchanged'."
            )
        counts[outcome] = count
    if sum(counts.values()) != staged:
        raise RuntimeError(
            f"include/sql/store/ingest/{contract.dataset}/rows.sql gives {sum(counts.values())} rows for {staged} that "
            "were staged: a join loses or doubles some; it must give each staged row once."
        )
    return counts


def changed_tables(connection: Connection, contract: Contract) -> list[str]:
    """Return the tables of the contract in which this transaction has changed at least one row."""
    return [table for table in contract.tables if _changed(connection, table)]


def _changed(connection: Connection, table: str) -> bool:
    """Return whether this transaction has changed a row of `table`, or removed one.

    What is derived from other tables has no row_xid: the triggers that write it say so to their transaction.
    """
    if table in DERIVED:
        told = connection.execute("select current_setting(%s, true) = 'yes'", (f"changed.{table}",)).fetchone()
        return bool(told and told[0])
    found = connection.execute(
        sql.SQL(
            "select exists (select 1 from {} where row_xid = pg_current_xact_id())"
            " or exists (select 1 from ops.tombstone where row_xid = pg_current_xact_id() and table_name = %s)"
        ).format(sql.Identifier(*table.split("."))),
        (table,),
    ).fetchone()
    return bool(found and found[0])
