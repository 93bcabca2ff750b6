-- Set aside PostgreSQL's functions that mean something else in Redshift: they go on as pg_NAME, and Redshift's get the
-- name. A function of PostgreSQL's own cannot be replaced: it is called by its number, whatever pg_proc says of it.
do $$
declare
    builtin record;
begin
    for builtin in
        select
            proc.oid::regprocedure as signature,
            proc.proname as name
        from pg_catalog.pg_proc as proc
        where proc.oid < 16384  -- made by initdb
            and proc.pronamespace = 'pg_catalog'::regnamespace
            and (
                -- All matches are replaced, no match is an empty text, other flags.
                proc.proname in ('regexp_count', 'regexp_instr', 'regexp_replace', 'regexp_substr')
                -- NULL makes NULL.
                or proc.proname = 'concat'
                -- The average of whole numbers is a whole number.
                or proc.proname = 'avg' and proc.proargtypes[0] in (
                    'smallint'::regtype, 'integer'::regtype, 'bigint'::regtype
                )
                -- Trailing blanks of a CHAR do not count.
                or proc.oid = 'pg_catalog.octet_length(bpchar)'::regprocedure
                -- More names for the parts, other decades; what EXTRACT returns is an integer, without the parts around it.
                or proc.proname in ('date_part', 'date_trunc', 'extract')
                and proc.pronargs = 2
                and proc.proargtypes[1] <> 'interval'::regtype
            )
    loop
        execute format('alter routine %s rename to %I', builtin.signature, 'pg_' || builtin.name);
    end loop;
end
$$;
