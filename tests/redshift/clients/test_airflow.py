"""Airflow's own operators and hook for Redshift, as its provider has them."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook
from airflow.providers.amazon.aws.transfers.redshift_to_s3 import RedshiftToS3Operator
from airflow.providers.amazon.aws.transfers.s3_to_redshift import S3ToRedshiftOperator
from airflow.providers.common.sql.operators.sql import (
    SQLCheckOperator,
    SQLColumnCheckOperator,
    SQLExecuteQueryOperator,
    SQLInsertRowsOperator,
    SQLTableCheckOperator,
    SQLThresholdCheckOperator,
    SQLValueCheckOperator,
)
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowException

from tests.redshift.clients.conftest import Warehouse

CONNECTION = "redshift_clients"
TRANSFERS = Path(__file__).with_name("transfers")


@pytest.fixture
def hook(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> RedshiftSQLHook:
    login = warehouse.login
    connection = Connection(
        conn_id=CONNECTION,
        conn_type="redshift",
        host=login["host"],
        port=login["port"],
        login=login["user"],
        password=login["password"],
        schema=login["database"],
        extra='{"ssl": false}',
    )
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", connection.as_json())
    hook = RedshiftSQLHook(redshift_conn_id=CONNECTION)
    hook.run(
        f"create table {warehouse.schema}.game (game_id int not null, title varchar(40), price decimal(8,2),"
        " primary key (game_id)) distkey (game_id)"
    )
    return hook


def execute(operator: Any) -> Any:
    """Run an operator's work, without a DAG around it."""
    return operator.execute({})


def load(warehouse: Warehouse, prefix: str, method: str, **more: Any) -> None:
    execute(
        S3ToRedshiftOperator(
            task_id="load",
            redshift_conn_id=CONNECTION,
            s3_bucket=warehouse.bucket,
            s3_key=f"{warehouse.schema}/{prefix}",
            schema=warehouse.schema,
            table="game",
            copy_options=["csv", "ignoreheader 1", "null as '@N@'"],
            method=method,
            **more,
        )
    )


def test_files_are_appended_put_in_place_of_others_and_merged(hook: RedshiftSQLHook, warehouse: Warehouse) -> None:
    warehouse.put("first/a.csv", 'id,title,price\n1,"one, ""quoted""",1.50\n2,@N@,2.5\n')
    warehouse.put("first/b.csv", "id,title,price\n3,three,@N@\n")
    load(warehouse, "first/", "APPEND")
    first = [(1, 'one, "quoted"', Decimal("1.50")), (2, None, Decimal("2.50")), (3, "three", None)]
    assert warehouse.rows("select * from game order by 1") == first
    warehouse.put("second/a.csv", "id,title,price\n3,III,3\n4,IV,4\n")
    load(warehouse, "second/", "UPSERT")
    merged = [*first[:2], (3, "III", Decimal("3.00")), (4, "IV", Decimal("4.00"))]
    assert warehouse.rows("select * from game order by 1") == merged
    load(warehouse, "second/", "REPLACE")
    assert warehouse.rows("select * from game order by 1") == merged[2:]
    load(warehouse, "first/a", "UPSERT", upsert_keys=["game_id"], column_list=["game_id", "title", "price"])
    assert warehouse.rows("select game_id from game order by 1") == [(1,), (2,), (3,), (4,)]


def test_a_load_that_fails_leaves_the_table_as_it_was(hook: RedshiftSQLHook, warehouse: Warehouse) -> None:
    warehouse.put("good/a.csv", "id,title,price\n1,one,1\n")
    load(warehouse, "good/", "APPEND")
    warehouse.put("bad/a.csv", "id,title,price\n2,two,2\nx,three,3\n")
    for method in ("APPEND", "REPLACE", "UPSERT"):
        with pytest.raises(Exception, match="sys_load_error_detail"):
            load(warehouse, "bad/", method)
        assert warehouse.rows("select * from game") == [(1, "one", Decimal("1.00"))]


def test_tables_and_queries_are_unloaded(hook: RedshiftSQLHook, warehouse: Warehouse) -> None:
    hook.run(f"insert into {warehouse.schema}.game values (1, 'one', 1.5), (2, 'two, 2', null)")
    common: dict[str, Any] = {"redshift_conn_id": CONNECTION, "s3_bucket": warehouse.bucket}
    execute(
        RedshiftToS3Operator(
            task_id="table",
            s3_key=f"{warehouse.schema}/out",
            schema=warehouse.schema,
            table="game",
            unload_options=["csv", "parallel off"],
            include_header=True,
            **common,
        )
    )
    execute(
        RedshiftToS3Operator(
            task_id="query",
            s3_key=f"{warehouse.schema}/query_",
            select_query=f"select game_id from {warehouse.schema}.game where title = 'one'",
            unload_options=["csv", "gzip", "parallel off"],
            **common,
        )
    )
    found = warehouse.objects()
    assert found.keys() == {"out/game_000", "query_000.gz"}
    assert found["out/game_000"] == b'game_id,title,price\n1,one,1.50\n2,"two, 2",\n'
    assert gzip.decompress(found["query_000.gz"]) == b"1\n"


def test_a_dag_run_loads_and_unloads(
    hook: RedshiftSQLHook, warehouse: Warehouse, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    bundle = {
        "name": "transfers",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(TRANSFERS)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    hook.run(f"insert into {warehouse.schema}.game values (1, 'first', 1), (2, 'second', 2)")
    warehouse.put("in/a.csv", "id,title,price\n2,zweiter,2.5\n")
    warehouse.put("in/b.csv", "id,title,price\n3,dritter,3.5\n")
    states = []
    # The second has a file that is not right, and leaves the table and what was unloaded as they were.
    for _ in range(2):
        dag = DagBag(str(TRANSFERS)).dags["transfers"]
        run = dag.test(run_conf={"bucket": warehouse.bucket, "schema": warehouse.schema})
        states.append({instance.task_id: str(instance.state) for instance in run.get_task_instances()})
        warehouse.put("in/c.csv", "id,title,price\n1,one,1\nx,four,4\n")
    assert states == [{"load": "success", "unload": "success"}, {"load": "failed", "unload": "upstream_failed"}]
    loaded = [(1, "first", Decimal("1.00")), (2, "zweiter", Decimal("2.50")), (3, "dritter", Decimal("3.50"))]
    assert warehouse.rows("select * from game order by 1") == loaded
    found = warehouse.objects("out/")
    assert {key: sorted(body.splitlines()) for key, body in found.items()} == {
        "out/game_000": [b"1,first,1.00", b"2,zweiter,2.50", b"3,dritter,3.50"]
    }


def test_the_hook_reads_runs_and_knows_the_key(hook: RedshiftSQLHook, warehouse: Warehouse) -> None:
    table = f"{warehouse.schema}.game"
    hook.run([f"insert into {table} values (1, 'one', 1)", f"insert into {table} values (2, 'two', 2)"])
    hook.run(f"insert into {table} values (3, 'x;y', 3); delete from {table} where game_id = 1", split_statements=True)
    assert [tuple(row) for row in hook.get_records(f"select game_id, title from {table} order by 1")] == [
        (2, "two"),
        (3, "x;y"),
    ]
    assert tuple(hook.get_first(f"select price from {table} where title = %s", parameters=("two",))) == (Decimal(2),)
    frame = hook.get_df(f"select game_id, title from {table} order by 1", df_type="pandas")
    assert frame.to_dict("list") == {"game_id": [2, 3], "title": ["two", "x;y"]}
    assert hook.get_table_primary_key("game", warehouse.schema) == ["game_id"]
    with pytest.raises(Exception, match="division by zero"):
        hook.run([f"delete from {table}", "select 1 / 0"])
    assert warehouse.rows("select count(*) from game") == [(2,)]


def test_the_sql_operators_run_and_check(hook: RedshiftSQLHook, warehouse: Warehouse) -> None:
    table = f"{warehouse.schema}.game"
    common: dict[str, Any] = {"conn_id": CONNECTION}
    several = SQLExecuteQueryOperator(
        task_id="several",
        sql=[f"insert into {table} values (1, 'one', 1), (2, 'two', 2)", f"select count(*) from {table}"],
        **common,
    )
    assert [list(row) for row in execute(several)[-1]] == [[2]]
    rows = [(3, "three", 3), (4, "four", 4)]
    columns = ["game_id", "title", "price"]
    execute(
        SQLInsertRowsOperator(
            task_id="rows", table_name="game", schema=warehouse.schema, columns=columns, rows=rows, **common
        )
    )
    execute(SQLCheckOperator(task_id="check", sql=f"select count(*), max(price) from {table}", **common))
    execute(SQLValueCheckOperator(task_id="value", sql=f"select sum(price) from {table}", pass_value=10, **common))
    execute(
        SQLThresholdCheckOperator(
            task_id="threshold", sql=f"select avg(price) from {table}", min_threshold=2, max_threshold=3, **common
        )
    )
    execute(
        SQLTableCheckOperator(
            task_id="table",
            table=table,
            checks={"all_priced": {"check_statement": "count(price) = count(*)"}},
            **common,
        )
    )
    mapping = {"game_id": {"null_check": {"equal_to": 0}, "unique_check": {"equal_to": 0}}}
    execute(SQLColumnCheckOperator(task_id="column", table=table, column_mapping=mapping, **common))
    with pytest.raises(AirflowException):
        execute(SQLValueCheckOperator(task_id="wrong", sql=f"select count(*) from {table}", pass_value=5, **common))
    assert warehouse.rows("select * from game order by 1")[2:] == [
        (3, "three", Decimal("3.00")),
        (4, "four", Decimal("4.00")),
    ]
