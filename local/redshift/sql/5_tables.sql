-- What Redshift does with a table that PostgreSQL does otherwise: PRIMARY KEY and UNIQUE are noted and not enforced,
-- VARCHAR(n) and CHAR(n) count bytes. An event trigger sees to it after each statement that makes or changes a table.

-- The keys of a table stay in pg_constraint and pg_index, where drivers look for them, and lose what PostgreSQL makes
-- of them. By indisunique an insert checks, and the planner believes in joins and DISTINCT. By pg_constraint it leaves
-- columns out of GROUP BY beside a primary key, and the parser takes such a query: neither does if the constraint is
-- deferrable. The index stays, for MERGE to find its rows by.
create or replace function pg_catalog.rs_forget_uniqueness(changed oid) returns void
language plpgsql as $$
begin
    update pg_catalog.pg_index as idx
    set indisunique = false
    from pg_catalog.pg_constraint as con
    where idx.indrelid = changed
        and idx.indisunique
        and con.conindid = idx.indexrelid
        and con.conrelid = changed
        and con.contype in ('p', 'u');

    update pg_catalog.pg_constraint
    set condeferrable = true
    where conrelid = changed
        and contype in ('p', 'u')
        and not condeferrable;
end
$$;

-- What the CHECK of a column calls when a value has too many bytes. PostgreSQL has refused values of too many
-- characters before, so in a CHAR it can only be a character of several bytes. The error carries Redshift's words,
-- SQLSTATE 22001, and table and column in their fields.
create or replace function pg_catalog.rs_too_long(relation oid, attribute smallint) returns boolean
language plpgsql stable as $$
declare
    failed record;
begin
    select
        spc.nspname,
        rel.relname,
        att.attname,
        att.atttypid = 'pg_catalog.bpchar'::regtype as is_char,
        pg_catalog.format_type(att.atttypid, att.atttypmod) as type
    into failed
    from pg_catalog.pg_attribute as att
    inner join pg_catalog.pg_class as rel on att.attrelid = rel.oid
    inner join pg_catalog.pg_namespace as spc on rel.relnamespace = spc.oid
    where att.attrelid = relation
        and att.attnum = attribute;

    raise exception using
        errcode = '22001',
        message = case
            when failed.is_char then 'Multibyte character not supported for CHAR (Hint: Try using VARCHAR)'
            else format('value too long for type %s', failed.type)
        end,
        schema = failed.nspname,
        table = failed.relname,
        column = failed.attname,
        constraint = format('rs_bytes_%s', attribute);
end
$$;

-- Give each VARCHAR(n) and CHAR(n) of a table its CHECK, named by the column's number (a name may change), and take
-- away those that no longer fit. Changes nothing, and so ends, when all is as it should be.
create or replace function pg_catalog.rs_count_bytes(changed oid) returns void
language plpgsql as $$
declare
    actions text;
begin
    with wanted as (
        select
            att.attnum,
            att.attname,
            att.atttypmod - 4 as bytes,
            -- Padded with blanks, a CHAR(n) has n characters: more bytes than characters are too many.
            case att.atttypid
                when 'pg_catalog.bpchar'::regtype then 'pg_catalog.pg_octet_length'
                else 'pg_catalog.octet_length'
            end as measure
        from pg_catalog.pg_attribute as att
        where att.attrelid = changed
            and att.attnum > 0
            and not att.attisdropped
            and att.atttypid in ('pg_catalog.varchar'::regtype, 'pg_catalog.bpchar'::regtype)
            and att.atttypmod > 4
    ),

    found as (
        select
            con.conname,
            con.conkey,
            pg_catalog.substring(con.conname::text, '\d+$')::integer as attnum,
            pg_catalog.substring(pg_catalog.pg_get_expr(con.conbin, con.conrelid), '> (\d+)')::integer as bytes
        from pg_catalog.pg_constraint as con
        where con.conrelid = changed
            and con.contype = 'c'
            and con.conname ~ '^rs_bytes_\d+$'
    ),

    -- One copied by LIKE ... INCLUDING CONSTRAINTS may stand at another column's number.
    right_ones as (
        select
            found.conname,
            found.attnum
        from found
        inner join wanted on found.attnum = wanted.attnum and found.bytes = wanted.bytes
        where wanted.attnum = any(found.conkey)
    )

    select pg_catalog.string_agg(todo.action, ', ' order by todo.step)
    into actions
    from (
        select
            1 as step,
            format('drop constraint %I', found.conname) as action
        from found
        where found.conname not in (select right_ones.conname from right_ones)
        union all
        select
            2 as step,
            format(
                'add constraint rs_bytes_%s check ('
                'case when %s(%I) > %s then pg_catalog.rs_too_long(tableoid, %s::smallint) else true end)',
                wanted.attnum, wanted.measure, wanted.attname, wanted.bytes, wanted.attnum
            ) as action
        from wanted
        where wanted.attnum not in (select right_ones.attnum from right_ones)
    ) as todo;

    if actions is not null then
        execute (
            select format('alter table %I.%I %s', spc.nspname, rel.relname, actions)
            from pg_catalog.pg_class as rel
            inner join pg_catalog.pg_namespace as spc on rel.relnamespace = spc.oid
            where rel.oid = changed
        );
    end if;
end
$$;

-- Whoever makes a table may not write into the catalogs: this runs as the superuser that made it.
create or replace function pg_catalog.rs_after_ddl() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    changed oid;
begin
    for changed in
        select distinct rel.oid
        from pg_catalog.pg_event_trigger_ddl_commands() as command
        left join pg_catalog.pg_index as idx on command.objid = idx.indexrelid
        inner join pg_catalog.pg_class as rel on rel.oid = coalesce(idx.indrelid, command.objid)
        inner join pg_catalog.pg_namespace as spc on rel.relnamespace = spc.oid
        where command.classid = 'pg_catalog.pg_class'::regclass
            and not command.in_extension
            and rel.relkind = 'r'
            and spc.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    loop
        perform pg_catalog.rs_forget_uniqueness(changed);
        perform pg_catalog.rs_count_bytes(changed);
    end loop;
end
$$;

revoke execute on function pg_catalog.rs_forget_uniqueness(oid) from public;
revoke execute on function pg_catalog.rs_count_bytes(oid) from public;

do $$
begin
    drop event trigger if exists redshift_tables;
    create event trigger redshift_tables on ddl_command_end
        when tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE SCHEMA')
        execute function pg_catalog.rs_after_ddl();
    alter event trigger redshift_tables enable always;
end
$$;
