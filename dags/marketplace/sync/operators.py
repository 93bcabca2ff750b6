"""The operators of the sync: SQL on Redshift in one transaction, and the manifests that its COPY is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.s3 import S3CreateObjectOperator
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from marketplace import connections, warehouse

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from mypy_boto3_s3 import S3Client
    from redshift_connector.core import Connection

    from marketplace.sync.plan import Plan

ATTEMPTS = 3
TIMEOUT = timedelta(hours=2)  # of a statement, in a task that has no limit of its own
# What another transaction caused, so that the same statements may go through next time: two SQLSTATEs, and 1023, which
# is Redshift's number of "Serializable isolation violation on table".
_CONFLICT = re.compile(r"\b1023\b|Serializable isolation violation|could not serialize access")
_CONFLICT_STATES = {"40001", "40P01"}
# Load errors quote the value that was wrong, or a character of it: a customer's, maybe.
_QUOTED_VALUE = re.compile(r"\bValue '.*?', ?", re.DOTALL)


class RedshiftError(RuntimeError):
    """What Redshift said, without the values that it quotes."""


class RedshiftSQLOperator(SQLExecuteQueryOperator):
    """Runs statements on Redshift in one transaction, of a connection that it owns: all of them, or nothing.

    A transaction that Redshift ended because of another one is begun anew, ATTEMPTS times in all. Of a COPY that
    failed the error says which file, line and column it was, from sys_load_error_detail, and why; values are left out.
    The statements are a list, or a text of several; the result is the last one's, if it has any. None of them outlives
    the task's execution_timeout: a worker that was killed would leave it running.
    """

    def __init__(self, *, sql: str | list[str] = "", **kwargs: Any) -> None:
        super().__init__(sql=sql, conn_id=warehouse.CONNECTION, split_statements=True, **kwargs)

    def get_db_hook(self) -> DbApiHook:
        """Return the warehouse's hook, as all tasks have it."""
        return connections.warehouse_hook()

    def execute(self, context: Any) -> Any:
        """Run the statements and commit; raises RedshiftError, and what `work` raises."""
        from redshift_connector.error import DatabaseError

        with closing(connections.warehouse(self.execution_timeout or TIMEOUT)) as connection:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return self.work(connection, context)
                except DatabaseError as error:
                    fields = error.args[0] if error.args else None
                    if not isinstance(fields, dict):  # not of the server: the connection itself is in trouble
                        raise
                    said = _explained(connection, fields)
                    if not _is_conflict(fields) or attempt == ATTEMPTS:
                        raise RedshiftError(said) from None
                    self.log.warning("Attempt %s of %s: %s", attempt, ATTEMPTS, said)
        raise AssertionError("unreachable")

    def work(self, connection: Connection, context: Any) -> Any:
        """Do what is to be done in a transaction and commit it; raises redshift_connector's errors."""
        texts = self.sql if isinstance(self.sql, list) else self.get_db_hook().split_sql_string(self.sql)
        result = None
        with closing(connection.cursor()) as cursor:
            for text in texts:
                self.log.info("%s", text)
                cursor.execute(text, self.parameters or ())
                result = cursor.fetchall() if cursor.description else None
        connection.commit()
        return result


class ApplySyncOperator(RedshiftSQLOperator):
    """Brings the warehouse to what an export has written: `exported` is the result of its task.

    Run again after it has committed, it finds that and changes nothing.
    """

    template_fields: Sequence[str] = ("exported",)

    def __init__(self, *, exported: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.exported = exported

    def work(self, connection: Connection, context: Any) -> None:
        """Apply the plan that lies beside the export's files; raises what marketplace.sync.apply raises."""
        # Not at the top: whoever only parses the DAG needs no driver.
        from marketplace.sync.apply import IncompleteLoadError, WatermarkMovedError, apply

        plan = read_plan(S3Hook().conn, self.exported["bucket"], self.exported["prefix"])
        try:
            applied = apply(connection, plan, self.execution_timeout or TIMEOUT)
        except (IncompleteLoadError, WatermarkMovedError) as error:
            raise AirflowFailException(str(error)) from None
        if not applied:
            self.log.info("An earlier try of this task has committed: nothing is left to do.")


class WriteManifestsOperator(S3CreateObjectOperator):
    """Writes the manifests of an export, each of which names the files of one COPY: `exported` is its task's result.

    One task for all: each mapped task would take a second to start for an object of a few hundred bytes. Skips, and
    all that comes after it, when the export was a dry run.
    """

    template_fields: Sequence[str] = ("exported",)

    def __init__(self, *, exported: Any, **kwargs: Any) -> None:
        super().__init__(s3_key="", data="", replace=True, **kwargs)
        self.exported = exported

    def execute(self, context: Any) -> None:
        """Write them; again is no error. Raises what S3 raises."""
        if self.exported["dry_run"]:
            raise AirflowSkipException("A dry run: nothing was written, and nothing is applied.")
        plan = read_plan(self.hook.conn, self.exported["bucket"], self.exported["prefix"])
        self.s3_bucket = plan.bucket
        for self.s3_key, self.data in plan.manifests():
            super().execute(context)


def read_plan(s3: S3Client, bucket: str, prefix: str) -> Plan:
    """Return the plan of an export; a task fails for good when its files are gone, as no other try would find them."""
    from marketplace.sync import plan

    try:
        return plan.read_plan(s3, bucket, prefix)
    except plan.PlanGoneError as error:
        raise AirflowFailException(str(error)) from None


def _is_conflict(fields: dict[str, str]) -> bool:
    """Tell whether an error of the server (C its SQLSTATE, M its message) came of another transaction."""
    return fields.get("C") in _CONFLICT_STATES or bool(_CONFLICT.search(fields.get("M", "")))


def _explained(connection: Connection, fields: dict[str, str]) -> str:
    """Roll back, and return what the server said; of a failed COPY also which file, line and column it was."""
    connection.rollback()
    said, state = fields.get("M", ""), fields.get("C", "")
    if state.startswith("22"):  # messages of this class quote the value
        said = "a value cannot be stored, or computed with"
    text = f"Redshift: {said} (SQLSTATE {state})"
    if "load_error" not in said:
        return text
    with closing(connection.cursor()) as cursor:
        cursor.execute(
            "select trim(file_name), line_number, trim(column_name), trim(column_type), trim(column_length),"
            " trim(error_message) from sys_load_error_detail where query_id = pg_last_copy_id()"
        )
        found = cursor.fetchall()
    connection.rollback()
    for file, line, column, type_, length, reason in found:
        place = f"{file}, line {line}"
        if column:
            place += f", column {column} ({type_}{f' of {length} bytes' if length else ''})"
        text += f"\n  {place}: {_QUOTED_VALUE.sub('', reason)}"
    return text
