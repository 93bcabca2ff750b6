-- What a connection to the store tells of it: the version of PostGIS, whether this connection is encrypted, whether it
-- ends at a standby, which has no snapshots to sync by, and how many migrations it has had.
select
    (select e.extversion from pg_catalog.pg_extension as e where e.extname = 'postgis') as postgis,
    (select s.ssl from pg_catalog.pg_stat_ssl as s where s.pid = pg_catalog.pg_backend_pid()) as encrypted,
    pg_catalog.pg_is_in_recovery() as standby
