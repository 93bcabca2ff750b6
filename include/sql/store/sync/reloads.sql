-- Why a table is asked to be loaded in full: the requests that the last synced snapshot did not see.
-- Parameters: table_name, snapshot.
select r.reason
from ops.sync_reload as r
where r.table_name = %(table_name)s
  and not pg_catalog.pg_visible_in_snapshot(r.row_xid, %(snapshot)s::pg_snapshot)
order by r.reload_id;
