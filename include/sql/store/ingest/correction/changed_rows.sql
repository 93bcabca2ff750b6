-- How many rows of a table this transaction has written, and how many it has removed.
select
    (select count(*) from {table} as t where t.row_xid = pg_current_xact_id()) as written,
    (
        select count(*) from ops.tombstone as t
        where t.row_xid = pg_current_xact_id() and t.table_name = %(table)s
    ) as removed;
