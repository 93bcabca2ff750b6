-- The tables of some schemas that the warehouse sync reads, each with its key and its columns but row_xid. definition
-- tells whether a table is still the same: its columns in their order, and the file that a rewrite of the table
-- replaces. Two tables have a row_xid for the sync's own sake.
-- Parameters: schemas.
select
    n.nspname || '.' || c.relname as table_name,
    (
        select array_agg(ka.attname::text order by k.position)
        from pg_catalog.pg_index as i
        cross join lateral unnest(i.indkey) with ordinality as k (attnum, position)
        inner join pg_catalog.pg_attribute as ka on i.indrelid = ka.attrelid and k.attnum = ka.attnum
        where i.indrelid = c.oid and i.indisprimary
    ) as key,
    pg_catalog.pg_relation_size(c.oid) as bytes,
    pg_catalog.md5(
        pg_catalog.concat_ws(
            ' ', c.oid, pg_catalog.pg_relation_filenode(c.oid),
            string_agg(
                pg_catalog.concat_ws(' ', a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ','
                order by a.attnum
            )
        )
    ) as definition,
    (
        select count(*)
        from pg_catalog.pg_trigger as g
        where g.tgrelid = c.oid
          and g.tgenabled = 'A'
          and g.tgname in ('stamp_row', 'leave_tombstone_of_row', 'leave_tombstone_of_key', 'refuse_truncate')
    ) = 4 as is_tracked,
    array_agg(a.attname::text order by a.attnum) as names,
    array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) order by a.attnum) as types,
    array_agg(not a.attnotnull order by a.attnum) as nullable
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid
where n.nspname = any(%(schemas)s)
  and c.oid not in ('ops.tombstone'::regclass, 'ops.sync_reload'::regclass)
  and c.relkind = 'r'
  and a.attnum > 0
  and not a.attisdropped
  and a.attname <> 'row_xid'
  and exists (
      select from pg_catalog.pg_attribute as x
      where x.attrelid = c.oid and x.attname = 'row_xid' and not x.attisdropped
  )
group by n.nspname, c.relname, c.oid
order by 1;
