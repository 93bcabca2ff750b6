-- What a store database needs of a superuser (on RDS: the master user) before the first migration.
-- Idempotent; run in the store database itself. Logins and passwords are given elsewhere.

do $$
declare
    wanted text;
begin
    foreach wanted in array array['store_owner', 'store_writer', 'store_reader'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
            execute format('create role %I', wanted);
        end if;
    end loop;
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect, create, temporary on database %I to store_owner', current_database());
    execute format('grant connect, temporary on database %I to store_writer', current_database());
    execute format('grant connect on database %I to store_reader', current_database());
end
$$;

-- The sync tells how long transactions have been open, whoever has them: without this it would see only its own role's.
grant pg_monitor to store_writer;

create extension if not exists postgis;

-- PostGIS lives in schema public; nothing else does.
revoke create on schema public from public;
