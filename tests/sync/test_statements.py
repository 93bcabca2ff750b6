"""The statements of a sync, as text."""

from __future__ import annotations

from marketplace.sync import statements
from marketplace.sync.plan import Files, Plan, TablePlan
from marketplace.sync.tables import Table
from marketplace.sync.types import Column
from marketplace.sync.watermark import Watermark

TABLE = Table(
    "store.place",
    (
        Column("place_id", "text", False),
        Column("line", "integer", False),
        Column("at", "geography(Point,4326)", False),
        Column("order", "jsonb", True),
    ),
    ("place_id", "line"),
)
PLANNED = TablePlan(
    "store.place", "incremental", None, "before", "definition", TABLE.key,
    tuple(target.name for target in TABLE.targets), (),
    Files("store.place/rows", 2, 3, 4), Files("store.place/gone", 1, 1, 1), "changed",
    Files("store.place/checked", 1, 4, 5), None, 0.5,
)  # fmt: skip
PLAN = Plan(
    "run", "bucket", "sync/run/token/", Watermark("1", "token", "5:9:7"), "2025-01-31T10:00:00+00:00", (PLANNED,),
)  # fmt: skip


def test_rows_are_selected_in_the_columns_of_the_warehouse() -> None:
    assert statements.copy_out(statements.changed_rows(TABLE, "5:9:7")).as_string() == (
        'copy (select "place_id", "line", public.st_x("at"::public.geometry)::numeric(9, 6),'
        ' public.st_y("at"::public.geometry)::numeric(9, 6), "order"::text from "store"."place"'
        " where row_xid >= pg_catalog.pg_snapshot_xmin('5:9:7'::pg_snapshot)"
        " and row_xid < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"
        " and not pg_catalog.pg_visible_in_snapshot(row_xid, '5:9:7'::pg_snapshot))"
        " to stdout (format csv, null '@NULL@', encoding 'UTF8')"
    )
    assert (
        statements.count(statements.all_rows(TABLE)).as_string().startswith('select count(*) from (select "place_id",')
    )


def test_keys_that_are_gone_are_those_of_tombstones_without_a_row() -> None:
    assert statements.gone_keys(TABLE, "5:9:7").as_string() == (
        'select "g"."place_id", "g"."line" from (select distinct (t.key ->> \'place_id\')::text as "place_id",'
        " (t.key ->> 'line')::integer as \"line\" from ops.tombstone as t where t.table_name = 'store.place'"
        " and row_xid >= pg_catalog.pg_snapshot_xmin('5:9:7'::pg_snapshot)"
        " and row_xid < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"
        " and not pg_catalog.pg_visible_in_snapshot(row_xid, '5:9:7'::pg_snapshot)) as g"
        ' where not exists (select from "store"."place" as r'
        ' where r."place_id" = g."place_id" and r."line" = g."line")'
    )


def test_changes_are_merged_as_redshift_takes_it() -> None:
    assert statements.merge(PLANNED) == (
        'merge into "store"."place" using "changed_store_place"'
        ' on "store"."place"."place_id" = "changed_store_place"."place_id"'
        ' and "store"."place"."line" = "changed_store_place"."line"'
        ' when matched then update set "at_longitude" = "changed_store_place"."at_longitude",'
        ' "at_latitude" = "changed_store_place"."at_latitude", "order" = "changed_store_place"."order"'
        ' when not matched then insert ("place_id", "line", "at_longitude", "at_latitude", "order")'
        ' values ("changed_store_place"."place_id", "changed_store_place"."line", "changed_store_place"."at_longitude",'
        ' "changed_store_place"."at_latitude", "changed_store_place"."order")'
    )
    assert statements.delete_gone(PLANNED) == (
        'delete from "store"."place" using "gone_store_place"'
        ' where "store"."place"."place_id" = "gone_store_place"."place_id"'
        ' and "store"."place"."line" = "gone_store_place"."line"'
    )
    assert statements.make_gone_stage(PLANNED) == (
        'create temp table "gone_store_place" as select "place_id", "line" from "store"."place" where 1 = 0'
    )
    assert statements.make_stage(PLANNED) == 'create temp table "changed_store_place" (like "store"."place")'
    assert statements.delete_all(PLANNED) == 'delete from "store"."place"'


def test_files_are_copied_by_their_manifest_and_the_namespaces_role() -> None:
    assert statements.copy_files(PLAN, "t", ["a", "b"], PLANNED.rows) == (
        'copy t ("a", "b") from \'s3://bucket/sync/run/token/store.place/rows.manifest\' iam_role default'
        " manifest gzip format as csv null as '@NULL@' timeformat 'auto' dateformat 'auto' roundec"
    )


def test_a_new_column_has_the_stores_type_and_a_text_any_width() -> None:
    assert statements.add_column(PLANNED, "x", "numeric(18,4)") == (
        'alter table "store"."place" add column "x" numeric(18,4)'
    )
    assert statements.add_column(PLANNED, "x", "character varying").endswith('add column "x" varchar(65535)')


def test_definitions_are_locked_all_at_once() -> None:
    assert statements.lock_definitions(["store.a", "store.b"]).as_string() == (
        'lock table only "store"."a", only "store"."b" in access share mode'
    )
