"""Parquet of more than is held at once: COPY reads it by row groups, UNLOAD writes one for each block of rows."""

from __future__ import annotations

import io

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from local.redshift.unload import BATCH_BYTES
from tests.redshift.conftest import BUCKET, Endpoint

ROWS = 400_000


def test_what_is_larger_than_a_block_comes_back_whole(endpoint: Endpoint):
    notes = [f"a text of more than forty bytes, number {n}" for n in range(ROWS)]
    table = pa.table({"line_id": pa.array(range(ROWS), pa.int32()), "note": notes})
    given = io.BytesIO()
    pq.write_table(table, given, row_group_size=ROWS // 4)
    s3 = boto3.client("s3")
    s3.put_object(Bucket=BUCKET, Key="large/given", Body=given.getvalue())

    with endpoint.connect() as session, session.cursor() as cursor:
        cursor.execute("create temp table large (line_id int, note varchar(80))")
        cursor.execute(f"copy large from 's3://{BUCKET}/large/given' iam_role default parquet")
        cursor.execute(f"unload ('select * from large') to 's3://{BUCKET}/large/back' iam_role default parquet")

    (entry,) = s3.list_objects_v2(Bucket=BUCKET, Prefix="large/back")["Contents"]
    back = pq.ParquetFile(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()))
    assert back.read().sort_by("line_id").equals(table)
    csv_bytes = sum(len(f"{n},{note}\n") + 2 * ("," in note) for n, note in enumerate(notes))
    assert back.num_row_groups == -(-csv_bytes // BATCH_BYTES) == 3
