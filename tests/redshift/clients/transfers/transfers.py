"""The DAG of a test: files of S3 into a table of the warehouse, and from there into S3, by Airflow's own operators."""

from __future__ import annotations

from airflow.providers.amazon.aws.transfers.redshift_to_s3 import RedshiftToS3Operator
from airflow.providers.amazon.aws.transfers.s3_to_redshift import S3ToRedshiftOperator
from airflow.sdk import DAG, Param

with DAG(
    "transfers",
    schedule=None,
    params={"bucket": Param("bucket", type="string"), "schema": Param("schema", type="string")},
):
    place = {
        "redshift_conn_id": "redshift_warehouse",
        "schema": "{{ params.schema }}",
        "table": "game",
        "s3_bucket": "{{ params.bucket }}",
    }
    load = S3ToRedshiftOperator(
        task_id="load",
        s3_key="{{ params.schema }}/in/",
        copy_options=["csv", "ignoreheader 1"],
        method="UPSERT",
        **place,
    )
    unload = RedshiftToS3Operator(
        task_id="unload", s3_key="{{ params.schema }}/out", unload_options=["csv", "parallel off"], **place
    )
    load >> unload
