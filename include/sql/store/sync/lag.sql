-- What the warehouse has not yet: of a table, the rows and the deleted keys that its watermark's snapshot did not see.
-- The upper bound leaves out what a dump has brought from a cluster ahead of this one.
-- Parameters: snapshot, table_name.
select
    (
        select count(*)
        from {table}
        where
            row_xid >= pg_snapshot_xmin(%(snapshot)s::pg_snapshot)
            and row_xid < pg_snapshot_xmax(pg_current_snapshot())
            and not pg_visible_in_snapshot(row_xid, %(snapshot)s::pg_snapshot)
    ) as rows_behind,
    (
        select count(distinct key)
        from ops.tombstone
        where
            table_name = %(table_name)s
            and row_xid >= pg_snapshot_xmin(%(snapshot)s::pg_snapshot)
            and row_xid < pg_snapshot_xmax(pg_current_snapshot())
            and not pg_visible_in_snapshot(row_xid, %(snapshot)s::pg_snapshot)
    ) as deletes_behind
