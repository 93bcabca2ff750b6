-- Why a table is asked to be loaded in full: the requests that the last synced snapshot did not see. One that a dump
-- has brought from a cluster ahead of this one is left: all was loaded in full when it was restored.
-- Parameters: table_name, snapshot.
select r.reason
from ops.sync_reload as r
where r.table_name = %(table_name)s
  and r.row_xid < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
  and not pg_catalog.pg_visible_in_snapshot(r.row_xid, %(snapshot)s::pg_snapshot)
order by r.reload_id;
