-- Delete the tombstones of a table that the warehouse has committed.
-- Parameters: table_name, snapshot.
delete from ops.tombstone
where table_name = %(table_name)s
  and row_xid < pg_catalog.pg_snapshot_xmax(%(snapshot)s::pg_snapshot)
  and pg_catalog.pg_visible_in_snapshot(row_xid, %(snapshot)s::pg_snapshot);
