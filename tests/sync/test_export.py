"""The files of an export: how they are split, how much memory they take, and what is left of one that fails."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql

from marketplace.sync import files
from tests.sync.conftest import Sync

MANY = (
    "insert into store.game (game_id, title, title_key, genre)"
    " select 'G-' || n, md5(n::text) || E'\\n' || md5((-n)::text), md5('a' || n) || md5('b' || n), md5('c' || n)"
    " from generate_series(1, {}) n"
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and parts as small as S3 lets them be."""
    monkeypatch.setattr(files, "PART_BYTES", 5 * 1024 * 1024)
    monkeypatch.setattr(files, "FILE_BYTES", 6 * 1024 * 1024)


def test_a_large_table_becomes_several_files_that_were_put_in_parts(sync: Sync, small: None) -> None:
    sync.change(MANY.format(120_000))
    plan = sync.export(tables=["store.game"])
    (game,) = plan.tables
    assert game.rows.rows == 120_000
    assert game.rows.files > 1
    objects = [sync.s3.get_object(Bucket=sync.bucket, Key=key) for key in game.rows.keys(plan.prefix)]
    assert all("-" in found["ETag"] for found in objects[:-1]), "S3 marks what came in parts"
    bodies = [found["Body"].read() for found in objects]
    assert sum(map(len, bodies)) == game.rows.bytes
    assert all(6 * 1024 * 1024 <= len(body) < 7 * 1024 * 1024 for body in bodies[:-1])
    # Each file ends with a whole row, though rows have line breaks in them.
    found = [list(csv.reader(io.StringIO(gzip.decompress(body).decode()))) for body in bodies]
    assert {len(row) for rows in found for row in rows} == {7}
    assert sorted(row[0] for rows in found for row in rows) == sorted(f"G-{n}" for n in range(1, 120_001))
    manifest = dict(plan.manifests())[f"{plan.prefix}store.game/rows.manifest"]
    assert json.loads(manifest)["entries"] == [
        {"url": f"s3://{sync.bucket}/{each}", "mandatory": True} for each in game.rows.keys(plan.prefix)
    ]
    assert sync.apply(plan)
    assert sync.differences() == []


def peak_bytes(sync: Sync, rows: int) -> int:
    """Return how much memory an export of so many rows takes at its peak."""
    sync.change("delete from store.game")
    sync.change(MANY.format(rows))
    tracemalloc.start()
    try:
        assert sync.export(tables=["store.game"]).tables[0].rows.rows == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_rows(sync: Sync, small: None) -> None:
    peak_bytes(sync, 1_000)  # what is imported and cached once
    few, many = peak_bytes(sync, 60_000), peak_bytes(sync, 240_000)
    assert many < few * 1.3


def leftovers(sync: Sync) -> list[Any]:
    return sync.s3.list_multipart_uploads(Bucket=sync.bucket).get("Uploads", [])


def test_an_upload_that_fails_leaves_no_token_no_half_of_a_file_and_no_watermark(
    sync: Sync, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.change(MANY.format(120_000))
    real, calls = files._File._upload, []

    def failing(file: Any, part: bytes, number: int) -> str:
        calls.append(number)
        if len(calls) == 2:
            raise ConnectionError("S3 is away")
        return real(file, part, number)

    with monkeypatch.context() as patch:
        patch.setattr(files._File, "_upload", failing)
        with pytest.raises(ConnectionError, match="S3 is away"):
            sync.export()
    assert leftovers(sync) == []
    assert sync.asked("select from ops.sync_token") == []
    assert sync.asked("select from pg_stat_activity where datname = %s and state <> 'idle'", sync.store.name)[1:] == []
    sync.sync()
    assert sync.differences() == []


def test_a_table_is_not_altered_while_it_is_exported(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    sync.change(MANY.format(100))
    tried = []
    real = files.copy_out

    def altering(connection: Any, query: Any) -> Any:
        with (
            psycopg.connect(sync.store.url("store_owner"), options="-c lock_timeout=100") as owner,
            pytest.raises(psycopg.errors.LockNotAvailable),
        ):
            owner.execute("alter table store.game alter column genre type text using upper(genre)")
        tried.append(query)
        return real(connection, query)

    monkeypatch.setattr("marketplace.sync.export.copy_out", altering)
    sync.sync()
    assert tried
    assert sync.differences() == []


def test_rows_are_taken_in_blocks_and_an_error_of_the_server_is_raised(sync: Sync) -> None:
    copied = "copy (select {} from generate_series(1, {}) n) to stdout"
    with closing(sync.connect()) as connection:
        blocks = list(files.copy_out(connection, sql.SQL(copied).format(sql.SQL("n"), sql.Literal(200_000))))
        assert b"".join(block for block, _ in blocks) == "".join(f"{n}\n" for n in range(1, 200_001)).encode()
        assert [block.count(b"\n") for block, _ in blocks] == [rows for _, rows in blocks]
        assert len(blocks) > 3
        assert connection.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.DivisionByZero):
            list(files.copy_out(connection, sql.SQL(copied).format(sql.SQL("1 / (9 - n)"), sql.Literal(9))))
        connection.rollback()
        assert connection.execute("select 1").fetchone() == (1,)
