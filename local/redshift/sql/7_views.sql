-- What drivers and tools ask about the database. Amazon Redshift Database Developer Guide, "System tables and views
-- reference". They show this database's own schemas, and of their tables those that one may use.
drop view if exists
    pg_catalog.svv_all_schemas, pg_catalog.svv_redshift_schemas, pg_catalog.svv_redshift_databases,
    pg_catalog.svv_all_tables, pg_catalog.svv_redshift_tables, pg_catalog.svv_tables,
    pg_catalog.svv_all_columns, pg_catalog.svv_redshift_columns, pg_catalog.svv_columns,
    pg_catalog.svv_external_schemas, pg_catalog.svv_external_tables, pg_catalog.svv_external_columns,
    pg_catalog.svv_table_info, pg_catalog.svv_relation_privileges, pg_catalog.svv_mv_info, pg_catalog.stv_mv_info,
    pg_catalog.pg_table_def, pg_catalog.pg_user_info, pg_catalog.pg_proc_info,
    pg_catalog.sys_query_history, pg_catalog.stl_load_errors,
    pg_catalog.rs_columns, pg_catalog.rs_relations, pg_catalog.rs_schemas;

-- A type by Redshift's name, with its length, or without where the view has a column for that.
create or replace function pg_catalog.rs_type(type oid, modifier integer, with_length boolean) returns text
language sql stable parallel safe as $$
    select case
        when $1 in ('pg_catalog.jsonb'::regtype, 'pg_catalog.json'::regtype) then 'super'
        when $1 = 'pg_catalog.bytea'::regtype then 'varbyte'
        when $1 in ('pg_catalog.text'::regtype, 'pg_catalog.varchar'::regtype) then
            'character varying' || case
                when $3 then format('(%s)', case when coalesce($2, -1) > 4 then $2 - 4 else 65535 end)
                else ''
            end
        when $1 = 'pg_catalog.timestamp'::regtype then 'timestamp without time zone'
        when $1 = 'pg_catalog.timestamptz'::regtype then 'timestamp with time zone'
        when $1 = 'pg_catalog.time'::regtype then 'time without time zone'
        when $1 = 'pg_catalog.timetz'::regtype then 'time with time zone'
        when $3 then pg_catalog.format_type($1, $2)
        else pg_catalog.format_type($1, null)
    end
$$;

create view pg_catalog.rs_schemas as
select
    spc.oid,
    spc.nspname,
    spc.nspowner,
    spc.nspacl
from pg_catalog.pg_namespace as spc
where spc.nspname <> 'information_schema'
    and spc.nspname !~ '^pg_'
    and pg_catalog.has_schema_privilege(spc.oid, 'USAGE');

-- The session's own temporary tables too, as in Redshift.
create view pg_catalog.rs_relations as
select
    rel.oid,
    spc.nspname,
    rel.relname,
    rel.relowner,
    rel.relacl,
    rel.relkind,
    rel.relpersistence,
    pg_catalog.obj_description(rel.oid, 'pg_class') as remarks
from pg_catalog.pg_class as rel
inner join pg_catalog.pg_namespace as spc on rel.relnamespace = spc.oid
where rel.relkind in ('r', 'v', 'm')
    and (spc.oid in (select own.oid from pg_catalog.rs_schemas as own) or spc.oid = pg_catalog.pg_my_temp_schema())
    and (
        pg_catalog.pg_has_role(rel.relowner, 'USAGE')
        or pg_catalog.has_table_privilege(
            rel.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'
        )
        or pg_catalog.has_any_column_privilege(rel.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
    );

create view pg_catalog.rs_columns as
select
    rel.oid as relation,
    rel.nspname,
    rel.relname,
    rel.relkind,
    att.attname,
    att.attnum::integer as attnum,
    att.atttypid,
    att.atttypmod,
    att.attnotnull,
    att.attacl,
    -- As Redshift writes an identity column's default: drivers know it by its beginning.
    case
        when att.attidentity <> '' then format(
            '%s(%s, %s, ''%s,%s''::text)',
            case att.attidentity when 'a' then '"identity"' else 'default_identity' end,
            rel.oid, att.attnum - 1, seq.seqstart, seq.seqincrement
        )
        else pg_catalog.pg_get_expr(def.adbin, def.adrelid)
    end as column_default,
    case
        when att.atttypid = 'pg_catalog.text'::regtype then 65535
        when att.atttypid = 'pg_catalog.varchar'::regtype and att.atttypmod < 4 then 65535
        when att.atttypid in ('pg_catalog.varchar'::regtype, 'pg_catalog.bpchar'::regtype) then att.atttypmod - 4
    end as character_maximum_length,
    case
        when att.atttypid = 'pg_catalog.int2'::regtype then 16
        when att.atttypid = 'pg_catalog.int4'::regtype then 32
        when att.atttypid = 'pg_catalog.int8'::regtype then 64
        when att.atttypid = 'pg_catalog.float4'::regtype then 24
        when att.atttypid = 'pg_catalog.float8'::regtype then 53
        when att.atttypid = 'pg_catalog.numeric'::regtype and att.atttypmod > 4 then (att.atttypmod - 4) >> 16
    end as numeric_precision,
    case
        when att.atttypid in ('pg_catalog.int2'::regtype, 'pg_catalog.int4'::regtype, 'pg_catalog.int8'::regtype) then 0
        when att.atttypid = 'pg_catalog.numeric'::regtype and att.atttypmod > 4 then (att.atttypmod - 4) & 2047
    end as numeric_scale,
    pg_catalog.col_description(rel.oid, att.attnum) as remarks,
    -- Not in Redshift, where a column's name may be used beside it: redshift_connector asks for this name so.
    case att.attidentity when '' then 'NO' else 'YES' end as is_autoincrement
from pg_catalog.rs_relations as rel
inner join pg_catalog.pg_attribute as att on rel.oid = att.attrelid
left join pg_catalog.pg_attrdef as def on att.attrelid = def.adrelid and att.attnum = def.adnum
left join pg_catalog.pg_depend as dep
    on att.attidentity <> ''
    and dep.refclassid = 'pg_catalog.pg_class'::regclass
    and dep.refobjid = att.attrelid
    and dep.refobjsubid = att.attnum
    and dep.classid = 'pg_catalog.pg_class'::regclass
    and dep.deptype = 'i'
left join pg_catalog.pg_sequence as seq on dep.objid = seq.seqrelid
where att.attnum > 0
    and not att.attisdropped;

create view pg_catalog.svv_redshift_databases as
select
    dbs.datname::varchar(128) as database_name,
    dbs.datdba::bigint::integer as database_owner,
    'local'::varchar(32) as database_type,
    pg_catalog.array_to_string(dbs.datacl, ',')::varchar(128) as database_acl,
    null::varchar(128) as database_options,
    'Snapshot Isolation'::varchar(128) as database_isolation_level
from pg_catalog.pg_database as dbs
where dbs.datname = current_database();

create view pg_catalog.svv_redshift_schemas as
select
    current_database()::varchar(128) as database_name,
    spc.nspname::varchar(128) as schema_name,
    spc.nspowner::bigint::integer as schema_owner,
    'local'::varchar(128) as schema_type,
    pg_catalog.array_to_string(spc.nspacl, ',')::varchar(128) as schema_acl,
    null::varchar(128) as schema_option
from pg_catalog.rs_schemas as spc;

create view pg_catalog.svv_all_schemas as
select
    spc.database_name,
    spc.schema_name,
    spc.schema_owner,
    spc.schema_type,
    spc.schema_acl,
    null::varchar(128) as source_database,
    spc.schema_option
from pg_catalog.svv_redshift_schemas as spc;

create view pg_catalog.svv_redshift_tables as
select
    current_database()::varchar(128) as database_name,
    rel.nspname::varchar(128) as schema_name,
    rel.relname::varchar(128) as table_name,
    case rel.relkind when 'r' then 'TABLE' else 'VIEW' end::varchar(128) as table_type,
    pg_catalog.array_to_string(rel.relacl, ',')::varchar(128) as table_acl,
    rel.remarks::varchar(256) as remarks,
    pg_catalog.pg_get_userbyid(rel.relowner)::varchar(128) as table_owner
from pg_catalog.rs_relations as rel;

create view pg_catalog.svv_all_tables as
select
    rel.database_name,
    rel.schema_name,
    rel.table_name,
    rel.table_type,
    rel.table_acl,
    rel.remarks
from pg_catalog.svv_redshift_tables as rel;

create view pg_catalog.svv_tables as
select
    current_database()::text as table_catalog,
    rel.nspname::text as table_schema,
    rel.relname::text as table_name,
    case rel.relkind when 'r' then 'BASE TABLE' else 'VIEW' end as table_type,
    rel.remarks
from pg_catalog.rs_relations as rel;

create view pg_catalog.svv_redshift_columns as
select
    current_database()::varchar(128) as database_name,
    col.nspname::varchar(128) as schema_name,
    col.relname::varchar(128) as table_name,
    col.attname::varchar(128) as column_name,
    col.attnum as ordinal_position,
    pg_catalog.rs_type(col.atttypid, col.atttypmod, true)::varchar(32) as data_type,
    col.column_default::varchar(4000) as column_default,
    case when col.attnotnull then 'NO' else 'YES' end::varchar(3) as is_nullable,
    'none'::varchar(128) as encoding,
    false as distkey,
    0 as sortkey,
    pg_catalog.array_to_string(col.attacl, ',')::varchar(128) as column_acl,
    col.remarks::varchar(256) as remarks
from pg_catalog.rs_columns as col;

create view pg_catalog.svv_all_columns as
select
    current_database()::varchar(128) as database_name,
    col.nspname::varchar(128) as schema_name,
    col.relname::varchar(128) as table_name,
    col.attname::varchar(128) as column_name,
    col.attnum as ordinal_position,
    col.column_default::varchar(4000) as column_default,
    case when col.attnotnull then 'NO' else 'YES' end::varchar(3) as is_nullable,
    pg_catalog.rs_type(col.atttypid, col.atttypmod, false)::varchar(128) as data_type,
    col.character_maximum_length,
    col.numeric_precision,
    col.numeric_scale,
    col.remarks::varchar(256) as remarks,
    col.is_autoincrement
from pg_catalog.rs_columns as col;

create view pg_catalog.svv_columns as
select
    current_database()::text as table_catalog,
    col.nspname::text as table_schema,
    col.relname::text as table_name,
    col.attname::text as column_name,
    col.attnum as ordinal_position,
    col.column_default,
    case when col.attnotnull then 'NO' else 'YES' end as is_nullable,
    pg_catalog.rs_type(col.atttypid, col.atttypmod, false) as data_type,
    col.character_maximum_length,
    col.numeric_precision,
    case
        when col.atttypid = 'pg_catalog.numeric'::regtype then 10
        when col.numeric_precision is not null then 2
    end as numeric_precision_radix,
    col.numeric_scale,
    null::integer as datetime_precision,
    null::text as interval_type,
    null::text as interval_precision,
    null::text as character_set_catalog,
    null::text as character_set_schema,
    null::text as character_set_name,
    null::text as collation_catalog,
    null::text as collation_schema,
    null::text as collation_name,
    null::text as domain_name,
    col.remarks,
    col.is_autoincrement
from pg_catalog.rs_columns as col;

-- There is no Spectrum here: nothing is external.
create view pg_catalog.svv_external_schemas as
select
    null::oid as esoid,
    null::smallint as eskind,
    null::name as schemaname,
    null::integer as esowner,
    null::text as databasename,
    null::text as esoptions
where false;

create view pg_catalog.svv_external_tables as
select
    null::text as redshift_database_name,
    null::text as schemaname,
    null::text as tablename,
    null::text as tabletype,
    null::text as location,
    null::text as input_format,
    null::text as output_format,
    null::text as serialization_lib,
    null::text as serde_parameters,
    null::integer as compressed,
    null::text as parameters
where false;

create view pg_catalog.svv_external_columns as
select
    null::text as redshift_database_name,
    null::text as schemaname,
    null::text as tablename,
    null::text as columnname,
    null::text as external_type,
    null::integer as columnnum,
    null::integer as part_key,
    null::text as is_nullable
where false;

-- Columns of the tables in the schemas of the search path only: so does Redshift's.
create view pg_catalog.pg_table_def as
select
    col.nspname as schemaname,
    col.relname as tablename,
    col.attname as "column",
    pg_catalog.rs_type(col.atttypid, col.atttypmod, true) as type,
    'none'::character(32) as encoding,
    false as distkey,
    0 as sortkey,
    col.attnotnull as "notnull"
from pg_catalog.rs_columns as col
where col.relkind = 'r'
    and col.nspname = any(current_schemas(true));

-- Rows are counted, not estimated: a test that loads and asks must not wait for ANALYZE.
create or replace function pg_catalog.rs_row_count(relation oid) returns bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    counted bigint;
begin
    execute (
        select format('select count(*) from %I.%I', spc.nspname, rel.relname)
        from pg_catalog.pg_class as rel
        inner join pg_catalog.pg_namespace as spc on rel.relnamespace = spc.oid
        where rel.oid = relation
            and rel.relkind = 'r'
            and pg_catalog.has_table_privilege(session_user, rel.oid, 'SELECT')
    ) into counted;
    return counted;
exception
    when null_value_not_allowed then
        return null;  -- not a table, or not theirs
end
$$;

-- Empty tables are not listed. Nothing is distributed, sorted or encoded here.
create view pg_catalog.svv_table_info as
select
    current_database()::text as database,
    rel.nspname::text as schema,
    rel.oid as table_id,
    rel.relname::text as "table",
    'N'::text as encoded,
    null::text as diststyle,
    null::text as sortkey1,
    (
        select coalesce(max(col.character_maximum_length), 0)
        from pg_catalog.rs_columns as col
        where col.relation = rel.oid
            and col.atttypid <> 'pg_catalog.bpchar'::regtype
    ) as max_varchar,
    null::character(32) as sortkey1_enc,
    0 as sortkey_num,
    ceil(pg_catalog.pg_total_relation_size(rel.oid) / 1048576.0)::bigint as size,
    null::numeric(10, 4) as pct_used,
    0::bigint as empty,
    null::numeric(5, 2) as unsorted,
    0::numeric(5, 2) as stats_off,
    counted.found::numeric(38, 0) as tbl_rows,
    null::numeric(19, 2) as skew_sortkey1,
    null::numeric(19, 2) as skew_rows,
    counted.found::numeric(38, 0) as estimated_visible_rows,
    null::text as risk_event,
    null::numeric(12, 2) as vacuum_sort_benefit,
    null::timestamp as create_time
from pg_catalog.rs_relations as rel
cross join lateral pg_catalog.rs_row_count(rel.oid) as counted (found)
where rel.relkind = 'r'
    and counted.found > 0;

create view pg_catalog.svv_relation_privileges as
select
    rel.nspname::text as namespace_name,
    rel.relname::text as relation_name,
    granted.privilege_type,
    granted.grantee::bigint::integer as identity_id,
    case granted.grantee
        when 0 then 'public'
        else pg_catalog.pg_get_userbyid(granted.grantee)::text
    end as identity_name,
    case
        when granted.grantee = 0 then 'public'
        when usr.usesysid is null then 'group'
        else 'user'
    end as identity_type,
    granted.is_grantable as admin_option
from pg_catalog.rs_relations as rel
cross join lateral pg_catalog.aclexplode(rel.relacl) as granted
left join pg_catalog.pg_user as usr on granted.grantee = usr.usesysid
where granted.grantee <> rel.relowner;

create view pg_catalog.svv_mv_info as
select
    current_database()::character(128) as database_name,
    rel.nspname::character(128) as schema_name,
    pg_catalog.pg_get_userbyid(rel.relowner)::character(128) as user_name,
    rel.relname::character(128) as name,
    null::character(1) as is_stale,
    null::integer as state,
    'f'::character(1) as autorefresh
from pg_catalog.rs_relations as rel
where rel.relkind = 'm';

create view pg_catalog.stv_mv_info as
select
    current_database()::character(128) as db_name,
    rel.nspname::character(128) as schema,
    rel.relname::character(128) as name,
    null::bigint as updated_upto_xid,
    null::character(1) as is_stale,
    pg_catalog.pg_get_userbyid(rel.relowner)::character(128) as owner_user_name,
    null::integer as state,
    'f'::character(1) as autorefresh
from pg_catalog.rs_relations as rel
where rel.relkind = 'm';

create view pg_catalog.pg_user_info as
select
    usr.usename,
    usr.usesysid::bigint::integer as usesysid,
    usr.usecreatedb,
    usr.usesuper,
    usr.usesuper as usecatupd,
    usr.passwd,
    usr.valuntil,
    usr.useconfig,
    case rol.rolconnlimit when -1 then 'UNLIMITED' else rol.rolconnlimit::text end as useconnlimit
from pg_catalog.pg_user as usr
inner join pg_catalog.pg_roles as rol on usr.usesysid = rol.oid;

create view pg_catalog.pg_proc_info as
select
    fun.oid as prooid,
    fun.proname,
    fun.pronamespace,
    fun.proowner,
    fun.prolang,
    fun.prokind,
    fun.prosecdef,
    fun.proisstrict,
    fun.proretset,
    fun.provolatile,
    fun.pronargs,
    fun.prorettype,
    fun.proargtypes,
    fun.proallargtypes,
    fun.proargmodes,
    fun.proargnames,
    fun.prosrc,
    fun.proacl
from pg_catalog.pg_proc as fun;

-- A view is bound when it is made here: there are no late-binding ones. The query names the columns and their types.
create or replace function pg_catalog.pg_get_late_binding_view_cols() returns setof record
language plpgsql stable as $$
begin
    return;
end
$$;

-- What each session does now, or did last. What was before is in PostgreSQL's log, if anywhere.
create view pg_catalog.sys_query_history as
select
    act.usesysid::bigint::integer as user_id,
    act.query_id,
    'default'::character(320) as query_label,
    act.backend_xid::text::bigint as transaction_id,
    act.pid as session_id,
    act.datname::character(128) as database_name,
    case upper(pg_catalog.substring(act.query, '^\s*(\w+)'))
        when 'WITH' then 'SELECT'
        when 'CREATE' then 'DDL'
        when 'ALTER' then 'DDL'
        when 'DROP' then 'DDL'
        when 'SELECT' then 'SELECT'
        when 'INSERT' then 'INSERT'
        when 'UPDATE' then 'UPDATE'
        when 'DELETE' then 'DELETE'
        when 'COPY' then 'COPY'
        else 'UTILITY'
    end::character(32) as query_type,
    case act.state
        when 'active' then 'running'
        when 'idle in transaction (aborted)' then 'failed'
        else 'success'
    end::character(10) as status,
    false as result_cache_hit,
    act.query_start at time zone 'UTC' as start_time,
    case when act.state <> 'active' then act.state_change at time zone 'UTC' end as end_time,
    took.microseconds as elapsed_time,
    0::bigint as queue_time,
    took.microseconds as execution_time,
    null::character(512) as error_message,
    null::bigint as returned_rows,
    null::bigint as returned_bytes,
    act.query::character(4000) as query_text
from pg_catalog.pg_stat_activity as act
cross join lateral (
    select (
        pg_catalog.pg_extract('epoch', case act.state when 'active' then clock_timestamp() else act.state_change end)
        - pg_catalog.pg_extract('epoch', act.query_start)
    ) * 1000000
) as elapsed (exactly)
cross join lateral (select elapsed.exactly::bigint) as took (microseconds)
where act.datname = current_database()
    and act.backend_type = 'client backend'
    and act.query <> '';

create view pg_catalog.stl_load_errors as
select
    err.user_id as userid,
    0 as slice,
    err.table_id as tbl,
    err.start_time as starttime,
    err.session_id as session,
    err.query_id::integer as query,
    err.file_name as filename,
    err.line_number,
    err.column_name as colname,
    err.column_type as type,
    err.column_length as col_length,
    err.position,
    null::character(1024) as raw_line,
    null::character(1024) as raw_field_value,
    err.error_code as err_code,
    pg_catalog.left(err.error_message, 100)::character(100) as err_reason
from pg_catalog.sys_load_error_detail as err;

grant select on
    pg_catalog.svv_all_schemas, pg_catalog.svv_redshift_schemas, pg_catalog.svv_redshift_databases,
    pg_catalog.svv_all_tables, pg_catalog.svv_redshift_tables, pg_catalog.svv_tables,
    pg_catalog.svv_all_columns, pg_catalog.svv_redshift_columns, pg_catalog.svv_columns,
    pg_catalog.svv_external_schemas, pg_catalog.svv_external_tables, pg_catalog.svv_external_columns,
    pg_catalog.svv_table_info, pg_catalog.svv_relation_privileges, pg_catalog.svv_mv_info, pg_catalog.stv_mv_info,
    pg_catalog.pg_table_def, pg_catalog.pg_user_info, pg_catalog.pg_proc_info,
    pg_catalog.sys_query_history, pg_catalog.stl_load_errors
to public;
