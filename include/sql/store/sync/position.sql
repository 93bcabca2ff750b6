-- Where the source is: whether it can be read at all, whose history it has, and the snapshot of this transaction.
select
    pg_catalog.pg_is_in_recovery() as is_standby,
    (select c.system_identifier::text from pg_catalog.pg_control_system() as c) as system_identifier,
    pg_catalog.pg_current_snapshot()::text as snapshot,
    pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint as xmax;
