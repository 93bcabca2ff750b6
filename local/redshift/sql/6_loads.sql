-- What COPY did. The endpoint writes here by the two functions; they may be called by anybody, the tables only read.
-- A load that fails is rolled back, and with it what its session wrote: the endpoint notes it on another connection.

-- Columns: "SYS_LOAD_ERROR_DETAIL".
create table if not exists pg_catalog.sys_load_error_detail (
    user_id integer,
    query_id bigint,
    transaction_id bigint,
    session_id integer,
    database_name character(64),
    table_id integer,
    start_time timestamp,
    file_name character(256),
    line_number bigint,
    column_name character(127),
    column_type character(10),
    column_length character(10),
    position integer,
    error_code integer,
    error_message character(512)
);

-- Columns: "SYS_LOAD_HISTORY".
create table if not exists pg_catalog.sys_load_history (
    user_id integer,
    query_id bigint,
    transaction_id bigint,
    session_id integer,
    database_name text,
    status text,
    table_name text,
    start_time timestamp,
    end_time timestamp,
    duration bigint,
    data_source text,
    file_format text,
    loaded_rows bigint,
    loaded_bytes bigint,
    source_file_count integer,
    source_file_bytes bigint,
    file_count_scanned integer,
    file_bytes_scanned bigint,
    error_count bigint,
    copy_job_id bigint
);

create or replace function pg_catalog.note_load_error(
    query_id bigint,
    table_id oid,
    start_time timestamp,
    file_name text,
    line_number bigint,
    column_name text,
    column_type text,
    column_length text,
    error_position integer,
    error_code integer,
    error_message text,
    user_name text default session_user,
    session_id integer default pg_backend_pid(),
    transaction_id bigint default txid_current()
) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into pg_catalog.sys_load_error_detail values (
        (select usr.usesysid::bigint::integer from pg_catalog.pg_user as usr where usr.usename = $12),
        $1, $14, $13, left(current_database(), 64), $2::bigint::integer, $3, left($4, 256), $5, left($6, 127),
        left($7, 10), left($8, 10), $9, $10, left($11, 512)
    )
$$;

create or replace function pg_catalog.note_load(
    query_id bigint,
    status text,
    table_name text,
    start_time timestamp,
    data_source text,
    file_format text,
    loaded_rows bigint,
    loaded_bytes bigint,
    file_count integer,
    file_bytes bigint,
    error_count bigint default 0,
    user_name text default session_user,
    session_id integer default pg_backend_pid(),
    transaction_id bigint default txid_current()
) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into pg_catalog.sys_load_history values (
        (select usr.usesysid::bigint::integer from pg_catalog.pg_user as usr where usr.usename = $12),
        $1, $14, $13, current_database(), $2, $3, $4, clock_timestamp() at time zone 'UTC',
        ((pg_extract('epoch', clock_timestamp() at time zone 'UTC') - pg_extract('epoch', $4)) * 1000000)::bigint,
        $5, $6, $7, $8, $9, $10, $9, $10, $11, 0
    )
$$;

grant select on pg_catalog.sys_load_error_detail, pg_catalog.sys_load_history to public;
