-- Delete the tombstones that the warehouse has committed for all tables, and with them those of tables it has not.
-- Parameters: snapshots.
delete from ops.tombstone as t
where not exists (
    select
    from unnest(%(snapshots)s::text []) as s (snapshot)
    where t.row_xid >= pg_catalog.pg_snapshot_xmax(s.snapshot::pg_snapshot)
        or not pg_catalog.pg_visible_in_snapshot(t.row_xid, s.snapshot::pg_snapshot)
);
