-- What holds a sync's snapshots back, and what waits to be pruned: open transactions of all databases, since they share
-- their numbers, transactions that were prepared and not ended, and tombstones.
select
    clock_timestamp() as now,
    (
        select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)
        from pg_stat_activity
        where backend_xid is not null and backend_type = 'client backend' and pid <> pg_backend_pid()
    )::float8 as oldest_transaction_s,
    (select count(*) from pg_prepared_xacts) as prepared_transactions,
    (
        select coalesce(extract(epoch from max(clock_timestamp() - prepared)), 0)
        from pg_prepared_xacts
    )::float8 as oldest_prepared_s,
    (select count(*) from ops.tombstone) as tombstones
