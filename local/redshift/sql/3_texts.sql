-- Texts, numbers, hashes and regular expressions. Amazon Redshift Database Developer Guide, "String functions",
-- "Math functions", "Hash functions", "Aggregate functions", "System administration functions".

-- LEN counts characters, of a CHAR without its trailing blanks; of binary data it counts bytes.
create or replace function pg_catalog.len(value text) returns integer
language sql immutable strict parallel safe as $$ select char_length($1) $$;

create or replace function pg_catalog.len(value bpchar) returns integer
language sql immutable strict parallel safe as $$ select char_length($1) $$;

create or replace function pg_catalog.len(value bytea) returns integer
language sql immutable strict parallel safe as $$ select octet_length($1) $$;

create or replace function pg_catalog.octet_length(value bpchar) returns integer
language sql immutable strict parallel safe as $$ select octet_length($1::text) $$;

create or replace function pg_catalog.charindex(part text, whole text) returns integer
language sql immutable strict parallel safe as $$ select strpos($2, $1) $$;

create or replace function pg_catalog.charindex(part text, whole numeric) returns integer
language sql immutable strict parallel safe as $$ select strpos($2::text, $1) $$;

create or replace function pg_catalog.replicate(value text, times integer) returns text
language sql immutable strict parallel safe as $$ select repeat($1, $2) $$;

create or replace function pg_catalog.replicate(value numeric, times integer) returns text
language sql immutable strict parallel safe as $$ select repeat($1::text, $2) $$;

create or replace function pg_catalog.repeat(value numeric, times integer) returns text
language sql immutable strict parallel safe as $$ select repeat($1::text, $2) $$;

-- CONCAT takes two, and NULL makes NULL.
create or replace function pg_catalog.concat(one text, other text) returns text
language sql immutable strict parallel safe as $$ select $1 || $2 $$;

create or replace function pg_catalog.concat(one bytea, other bytea) returns bytea
language sql immutable strict parallel safe as $$ select $1 || $2 $$;

create or replace function pg_catalog.concat(one text, other anynonarray) returns text
language sql stable strict parallel safe as $$ select $1 || $2 $$;

create or replace function pg_catalog.concat(one anynonarray, other text) returns text
language sql stable strict parallel safe as $$ select $1 || $2 $$;

-- STRTOL: a signed 64-bit integer of a base from 2 to 36.
create or replace function pg_catalog.rs_strtol(num_string text, base integer) returns bigint
language plpgsql immutable strict parallel safe as $$
declare
    digits text := lower(ltrim(num_string, E' \t\n\r\f\v'));
    negative boolean := false;
    total numeric := 0;
    digit integer;
begin
    if base not between 2 and 36 then
        raise exception using errcode = '22023', message = format('strtol: base %s is not between 2 and 36', base);
    end if;
    if digits = '' or digits like '\\0%' then
        return 0;
    end if;
    if left(digits, 1) in ('+', '-') then
        negative := left(digits, 1) = '-';
        digits := substr(digits, 2);
    end if;
    if base = 16 and digits like '0x_%' then
        digits := substr(digits, 3);
    end if;
    for place in 1..greatest(length(digits), 1) loop
        digit := strpos('0123456789abcdefghijklmnopqrstuvwxyz', nullif(substr(digits, place, 1), '')) - 1;
        if coalesce(digit, -1) not between 0 and base - 1 then
            raise exception using
                errcode = '22P02',
                message = format('The input %s is not valid to be converted to base %s', num_string, base);
        end if;
        total := total * base + digit;
    end loop;
    return case when negative then -total else total end;  -- out of range: PostgreSQL's own error
end
$$;

-- Of a checksum's hexadecimal digits there are many: they take the short way. (Not strict: see the dates.)
create or replace function pg_catalog.strtol(num_string text, base integer) returns bigint
language sql immutable parallel safe as $$
    select case
        when $2 = 16 and octet_length($1) between 1 and 15 and translate($1, '0123456789abcdefABCDEF', '') = ''
            then ('x' || lpad($1, 16, '0'))::bit(64)::bigint
        else pg_catalog.rs_strtol($1, $2)
    end
$$;

-- TEXT_TO_INT_ALT without a format: the sign before or after, blank is 0, fractions are cut.
create or replace function pg_catalog.text_to_int_alt(expression text) returns integer
language sql immutable strict parallel safe as $$
    select case
        when trim($1) = '' then 0
        when trim($1) ~ '[+-]$' then trunc((right(trim($1), 1) || left(trim($1), -1))::numeric)::integer
        else trunc(trim($1)::numeric)::integer
    end
$$;

-- Hashes. SHA-1 is not in PostgreSQL: it comes with pgcrypto, which every distribution's packages bring. It does not go
-- into pg_catalog, which has some of its functions already; a schema named pg_... is one that tools pass over.
create schema if not exists pg_redshift;
grant usage on schema pg_redshift to public;
create extension if not exists pgcrypto with schema pg_redshift;

create or replace function pg_catalog.sha1(value text) returns text
language sql immutable strict parallel safe as $$
    select encode(pg_redshift.digest(convert_to($1, 'UTF8'), 'sha1'), 'hex')
$$;

create or replace function pg_catalog.sha(value text) returns text
language sql immutable strict parallel safe as $$ select pg_catalog.sha1($1) $$;

create or replace function pg_catalog.func_sha1(value text) returns text
language sql immutable strict parallel safe as $$ select pg_catalog.sha1($1) $$;

create or replace function pg_catalog.sha2(value text, bits integer) returns text
language sql immutable strict parallel safe as $$
    select case $2
        when 0 then encode(sha256(convert_to($1, 'UTF8')), 'hex')
        when 224 then encode(sha224(convert_to($1, 'UTF8')), 'hex')
        when 256 then encode(sha256(convert_to($1, 'UTF8')), 'hex')
        when 384 then encode(sha384(convert_to($1, 'UTF8')), 'hex')
        when 512 then encode(sha512(convert_to($1, 'UTF8')), 'hex')
        else ''
    end
$$;

-- CRC-32C, eight hexadecimal digits.
create or replace function pg_catalog.crc32(value text) returns text
language plpgsql immutable strict parallel safe as $$
declare
    bytes bytea := convert_to(value, 'UTF8');
    crc bigint := 4294967295;
begin
    for place in 0..octet_length(bytes) - 1 loop
        crc := crc # get_byte(bytes, place);
        for bit in 1..8 loop
            crc := (crc >> 1) # (2197175160 * (crc & 1));  -- 0x82F63B78
        end loop;
    end loop;
    return lpad(to_hex(crc # 4294967295), 8, '0');
end
$$;

-- Regular expressions. Parameters: c and i, case; e, the first group alone; p, Perl's dialect, which PostgreSQL reads.
create or replace function pg_catalog.rs_regexp_flags(parameters text) returns text
language plpgsql immutable strict parallel safe as $$
begin
    if parameters !~ '^[ceip]*$' then
        raise exception using
            errcode = '22023', message = format('regular expression: unknown parameter in "%s"', parameters);
    end if;
    return case when parameters like '%i%' then 'i' else '' end;
end
$$;

create or replace function pg_catalog.regexp_count(
    source text, pattern text, place integer default 1, parameters text default 'c'
) returns integer
language sql immutable strict parallel safe as $$
    select pg_catalog.pg_regexp_count($1, $2, greatest($3, 1), pg_catalog.rs_regexp_flags($4))
$$;

create or replace function pg_catalog.regexp_instr(
    source text, pattern text, place integer default 1, occurrence integer default 1, after integer default 0,
    parameters text default 'c'
) returns integer
language sql immutable strict parallel safe as $$
    select pg_catalog.pg_regexp_instr(
        $1, $2, greatest($3, 1), $4, $5, pg_catalog.rs_regexp_flags($6),
        case when $6 like '%e%' and $2 ~ '\((?!\?)' then 1 else 0 end
    )
$$;

-- No match is an empty text, and not NULL.
create or replace function pg_catalog.regexp_substr(
    source text, pattern text, place integer default 1, occurrence integer default 1, parameters text default 'c'
) returns text
language sql immutable strict parallel safe as $$
    select case
        when $3 > char_length($1) then ''
        when $4 between 1 and char_length($1) then coalesce(
            pg_catalog.pg_regexp_substr(
                $1, $2, greatest($3, 1), $4, pg_catalog.rs_regexp_flags($5),
                case when $5 like '%e%' and $2 ~ '\((?!\?)' then 1 else 0 end
            ), ''
        )
    end
$$;

-- All matches are replaced. With p, a group is $1 and not \1.
create or replace function pg_catalog.regexp_replace(
    source text, pattern text, replacement text default '', place integer default 1, parameters text default 'c'
) returns text
language sql immutable strict parallel safe as $$
    select pg_catalog.pg_regexp_replace(
        $1, $2,
        case
            when $5 like '%p%' then pg_catalog.pg_regexp_replace($3, '\$(\d)', '\\\1', 1, 0, '')
            else $3
        end,
        greatest($4, 1), 0, pg_catalog.rs_regexp_flags($5)
    )
$$;

-- MEDIAN: of whole numbers and decimals a decimal, of floats a float; between two it is the middle.
create or replace function pg_catalog.rs_median(found numeric[]) returns numeric
language sql immutable strict parallel safe as $$
    with known as (select number.value from unnest($1) as number (value) where number.value is not null)

    select avg(middle.value)
    from (
        select known.value
        from known
        order by known.value
        offset greatest((select count(*) - 1 from known), 0) / 2
        limit (select 2 - count(*) % 2 from known)
    ) as middle
$$;

create or replace function pg_catalog.rs_median(found double precision[]) returns double precision
language sql immutable strict parallel safe as $$
    select percentile_cont(0.5) within group (order by number.value) from unnest($1) as number (value)
$$;

-- Integers have one of their own: PostgreSQL would rather make floats of them than decimals. They are collected by
-- array_append itself, which as the function of an aggregate adds in place: one of our own would copy the array.
do $$
declare
    type text;
begin
    foreach type in array array['smallint', 'integer', 'bigint'] loop
        execute format(
            'create or replace function pg_catalog.rs_median(found %s[]) returns numeric'
            ' language sql immutable strict parallel safe as ''select pg_catalog.rs_median($1::numeric[])''', type
        );
    end loop;
    foreach type in array array['smallint', 'integer', 'bigint', 'numeric', 'double precision'] loop
        execute format(
            'create or replace aggregate pg_catalog.median(%1$s)'
            ' (sfunc = array_append, stype = %1$s[], finalfunc = pg_catalog.rs_median)', type
        );
    end loop;
end
$$;

-- AVG of whole numbers is cut to a whole number: BIGINT, of BIGINT itself NUMERIC.
create or replace function pg_catalog.rs_add(so_far numeric[], value numeric) returns numeric[]
language sql immutable parallel safe as $$
    select case when $2 is null then $1 else array[$1[1] + $2, $1[2] + 1] end
$$;

create or replace function pg_catalog.rs_average(found numeric[]) returns numeric
language sql immutable strict parallel safe as $$ select trunc($1[1] / nullif($1[2], 0)) $$;

create or replace function pg_catalog.rs_whole_average(found numeric[]) returns bigint
language sql immutable strict parallel safe as $$ select pg_catalog.rs_average($1)::bigint $$;

do $$
declare
    whole text;
begin
    foreach whole in array array['smallint', 'integer', 'bigint'] loop
        execute format(
            'create or replace function pg_catalog.rs_add(so_far numeric[], value %s) returns numeric[]'
            ' language sql immutable parallel safe as ''select pg_catalog.rs_add($1, $2::numeric)''', whole
        );
        execute format(
            'create or replace aggregate pg_catalog.avg(%s)'
            ' (sfunc = pg_catalog.rs_add, stype = numeric[], finalfunc = pg_catalog.%I, initcond = ''{0,0}'')',
            whole, case whole when 'bigint' then 'rs_average' else 'rs_whole_average' end
        );
    end loop;
end
$$;

-- ANY_VALUE came with PostgreSQL 16.
do $$
begin
    if current_setting('server_version_num')::integer < 160000 then
        create or replace function pg_catalog.rs_first(first anyelement, other anyelement) returns anyelement
        language sql immutable strict parallel safe as 'select $1';
        create or replace aggregate pg_catalog.any_value(anyelement) (sfunc = pg_catalog.rs_first, stype = anyelement);
    end if;
end
$$;

-- What the session did last. The endpoint sets these; without a value nothing was done.
create or replace function pg_catalog.rs_last(name text, otherwise bigint) returns bigint
language sql stable parallel restricted as $$
    select coalesce(nullif(current_setting('redshift.last_' || $1, true), '')::bigint, $2)
$$;

create or replace function pg_catalog.pg_last_copy_count() returns bigint
language sql stable parallel restricted as $$ select pg_catalog.rs_last('copy_count', 0) $$;

create or replace function pg_catalog.pg_last_copy_id() returns bigint
language sql stable parallel restricted as $$ select pg_catalog.rs_last('copy_id', -1) $$;

create or replace function pg_catalog.pg_last_unload_count() returns bigint
language sql stable parallel restricted as $$ select pg_catalog.rs_last('unload_count', 0) $$;

create or replace function pg_catalog.pg_last_unload_id() returns bigint
language sql stable parallel restricted as $$ select pg_catalog.rs_last('unload_id', -1) $$;

create or replace function pg_catalog.pg_last_query_id() returns bigint
language sql stable parallel restricted as $$ select pg_catalog.rs_last('query_id', -1) $$;

create or replace function pg_catalog.current_user_id() returns integer
language sql stable parallel safe as $$
    select usr.usesysid::integer from pg_catalog.pg_user as usr where usr.usename = current_user
$$;

-- MERGE: a row of the target may match one row of the source.
create or replace function pg_catalog.merge_must_match_once(matches bigint) returns bigint
language plpgsql immutable strict parallel safe as $$
begin
    if matches > 1 then
        raise exception using errcode = '21000', message = 'Found multiple matches to update the same tuple';
    end if;
    return matches;
end
$$;

-- What the endpoint refuses by itself must fail the transaction that it came in.
create or replace function pg_catalog.redshift_fail() returns void
language plpgsql as $$
begin
    raise exception using errcode = 'XX000', message = 'refused by the endpoint';
end
$$;
