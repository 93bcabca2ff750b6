"""A small file's rows are looked up in a large table by its index: the table is not read."""

from __future__ import annotations

import io
from typing import Any

import psycopg

from marketplace.ingest import ledger
from marketplace.ingest.load import contract_of, load_records
from marketplace.ingest.records import decode, read_batches

MANY = 20_000


def transaction(number: int) -> str:
    return f"T-{number:06},sale,2025-01-05T10:00:00Z,EUR,5.00,CUST-1"


def line(number: int, line_no: int = 1, gross: str = "5.00") -> str:
    return f"T-{number:06},{line_no},G-1,P-1,EU,PC,{gross},1.00,{float(gross) - 1:.2f}"


def test_a_small_file_does_not_read_the_lines_that_stand(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,Aurora,SE")
    ingestion.put("game", "G-1,Nightfall,2025-01-01,RPG")
    ingestion.put("transaction", *map(transaction, range(MANY)))
    ingestion.put("transaction_detail", *map(line, range(MANY)))
    ingestion.run()
    ingestion.execute("analyze store.transaction")
    ingestion.execute("analyze store.transaction_line")

    # One that stands, one with other values, one more of a transaction that has a line.
    key = ingestion.put("transaction_detail", line(1), line(2, gross="6.00"), line(3, line_no=2), name="b.csv")
    (claim,) = ingestion.claim()
    (body,) = (body for (put, _version), body in ingestion.files.items() if put == key)
    with ingestion.connect() as connection:
        load, _started = ledger.start(connection, claim["load_id"], ingestion.run_id)
        with connection.transaction():
            account = load_records(connection, contract_of(load), load, read_batches(decode(io.BytesIO(body))))
            assert (account.unchanged, account.updated, account.inserted) == (1, 1, 1)
            assert connection.execute("select kind, detail from ops.issue order by line_no").fetchall() == [
                ("total_mismatch", "transaction T-000002 reports 5, but its 1 lines add up to 6"),
                ("total_mismatch", "transaction T-000003 reports 5, but its 2 lines add up to 10"),
            ]
            read = connection.execute(
                "select relname, seq_tup_read from pg_stat_xact_user_tables"
                " where relname in ('transaction', 'transaction_line') order by 1"
            ).fetchall()
            raise psycopg.Rollback
    assert read == [("transaction", 0), ("transaction_line", 0)]
    ingestion.load(claim)
