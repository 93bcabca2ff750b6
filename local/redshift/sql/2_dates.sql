-- Dates and times. Amazon Redshift Database Developer Guide, "Date and time functions".
--
-- None is declared strict, though NULL makes NULL in all: PostgreSQL puts the text of a strict function with a CASE not
-- into the query, and each call then costs tens of microseconds.

-- One name for each part ("Date parts for date or timestamp functions").
create or replace function pg_catalog.rs_part(part text) returns text
language sql immutable parallel safe as $$
    select case
        when lower($1) in ('millennium', 'millennia', 'mil', 'mils') then 'millennium'
        when lower($1) in ('century', 'centuries', 'c', 'cent', 'cents') then 'century'
        when lower($1) in ('decade', 'decades', 'dec', 'decs') then 'decade'
        when lower($1) in ('year', 'years', 'y', 'yr', 'yrs') then 'year'
        when lower($1) in ('quarter', 'quarters', 'qtr', 'qtrs') then 'quarter'
        when lower($1) in ('month', 'months', 'mon', 'mons') then 'month'
        when lower($1) in ('week', 'weeks', 'w') then 'week'
        when lower($1) in ('dayofweek', 'dow', 'dw', 'weekday') then 'dow'
        when lower($1) in ('dayofyear', 'doy', 'dy', 'yearday') then 'doy'
        when lower($1) in ('day', 'days', 'd') then 'day'
        when lower($1) in ('hour', 'hours', 'h', 'hr', 'hrs') then 'hour'
        when lower($1) in ('minute', 'minutes', 'm', 'min', 'mins') then 'minute'
        when lower($1) in ('second', 'seconds', 's', 'sec', 'secs') then 'second'
        when lower($1) in (
            'millisecond', 'milliseconds', 'ms', 'msec', 'msecs', 'msecond', 'mseconds', 'millisec', 'millisecs',
            'millisecon'
        ) then 'millisecond'
        when lower($1) in (
            'microsecond', 'microseconds', 'microsec', 'microsecs', 'usecond', 'useconds', 'us', 'usec', 'usecs'
        ) then 'microsecond'
        else lower($1)
    end
$$;

-- Immutable, as what calls it must be: it is reached only by a part that nothing knows.
create or replace function pg_catalog.rs_refuse_part(part text, function_name text) returns bigint
language plpgsql immutable strict parallel safe as $$
begin
    raise exception using
        errcode = '22023', message = format('%s: the date part "%s" is not supported', function_name, part);
end
$$;

-- The current date and time of the session's time zone: the statement's without, the transaction's with fractions.
create or replace function pg_catalog.getdate() returns timestamp
language sql stable parallel safe as $$ select pg_catalog.pg_date_trunc('second', statement_timestamp()::timestamp) $$;

create or replace function pg_catalog.sysdate() returns timestamp
language sql stable parallel safe as $$ select now()::timestamp $$;

-- DATEADD: a year after 29 February is 1 March, twelve months after it is 28 February.
create or replace function pg_catalog.rs_add_years(moment timestamp, years bigint) returns timestamp
language sql immutable parallel safe as $$
    select $1 + $2 * interval '1 year' + case
        when pg_catalog.pg_extract('day', $1) = 29
            and pg_catalog.pg_extract('month', $1) = 2
            and pg_catalog.pg_extract('day', $1 + $2 * interval '1 year') = 28
            then interval '1 day'
        else interval '0'
    end
$$;

create or replace function pg_catalog.dateadd(part text, amount bigint, moment timestamp) returns timestamp
language sql immutable parallel safe as $$
    select case pg_catalog.rs_part($1)
        when 'millennium' then pg_catalog.rs_add_years($3, $2 * 1000)
        when 'century' then pg_catalog.rs_add_years($3, $2 * 100)
        when 'decade' then pg_catalog.rs_add_years($3, $2 * 10)
        when 'year' then pg_catalog.rs_add_years($3, $2)
        when 'quarter' then $3 + $2 * interval '3 months'
        when 'month' then $3 + $2 * interval '1 month'
        when 'week' then $3 + $2 * interval '7 days'
        when 'day' then $3 + $2 * interval '1 day'
        when 'hour' then $3 + $2 * interval '1 hour'
        when 'minute' then $3 + $2 * interval '1 minute'
        when 'second' then $3 + $2 * interval '1 second'
        when 'millisecond' then $3 + $2 * interval '1 millisecond'
        when 'microsecond' then $3 + $2 * interval '1 microsecond'
        else $3 + pg_catalog.rs_refuse_part($1, 'dateadd') * interval '1 day'
    end
$$;

-- Days and longer are those of the session's time zone; shorter parts pass also where its clocks are changed.
create or replace function pg_catalog.dateadd(part text, amount bigint, moment timestamptz) returns timestamptz
language sql stable parallel safe as $$
    select case
        when pg_catalog.rs_part($1) in ('hour', 'minute', 'second', 'millisecond', 'microsecond')
            then pg_catalog.dateadd($1, $2, $3 at time zone 'UTC') at time zone 'UTC'
        else pg_catalog.dateadd($1, $2, $3::timestamp)::timestamptz
    end
$$;

create or replace function pg_catalog.dateadd(part text, amount bigint, moment date) returns timestamp
language sql immutable parallel safe as $$ select pg_catalog.dateadd($1, $2, $3::timestamp) $$;

-- A literal. Not immutable: how a text is read depends on settings.
create or replace function pg_catalog.dateadd(part text, amount bigint, moment text) returns timestamp
language sql stable parallel safe as $$ select pg_catalog.dateadd($1, $2, $3::timestamp) $$;

create or replace function pg_catalog.dateadd(part text, amount bigint, moment time) returns time
language sql immutable parallel safe as $$
    select case pg_catalog.rs_part($1)
        when 'hour' then $3 + $2 * interval '1 hour'
        when 'minute' then $3 + $2 * interval '1 minute'
        when 'second' then $3 + $2 * interval '1 second'
        when 'millisecond' then $3 + $2 * interval '1 millisecond'
        when 'microsecond' then $3 + $2 * interval '1 microsecond'
        else $3 + pg_catalog.rs_refuse_part($1, 'dateadd of a time') * interval '1 second'
    end
$$;

-- Redshift shows a TIMETZ in UTC.
create or replace function pg_catalog.dateadd(part text, amount bigint, moment timetz) returns timetz
language sql stable parallel safe as $$
    select (pg_catalog.dateadd($1, $2, ($3 at time zone 'UTC')::time)::text || '+00')::timetz
$$;

-- DATEDIFF counts the boundaries of a part between two moments: the difference of the numbers of the parts they lie in.
create or replace function pg_catalog.rs_part_number(part text, moment timestamp) returns bigint
language sql immutable parallel safe as $$
    select case pg_catalog.rs_part($1)
        when 'millennium' then floor((pg_catalog.pg_extract('year', $2) - 1) / 1000)::bigint
        when 'century' then floor((pg_catalog.pg_extract('year', $2) - 1) / 100)::bigint
        when 'decade' then floor(pg_catalog.pg_extract('year', $2) / 10)::bigint
        when 'year' then pg_catalog.pg_extract('year', $2)::bigint
        when 'quarter' then (pg_catalog.pg_extract('year', $2) * 4 + pg_catalog.pg_extract('quarter', $2))::bigint
        when 'month' then (pg_catalog.pg_extract('year', $2) * 12 + pg_catalog.pg_extract('month', $2))::bigint
        -- A week begins on Sunday: 4 January 1970 was one.
        when 'week' then floor(($2::date - date '1970-01-04') / 7.0)::bigint
        when 'day' then ($2::date - date '1970-01-01')::bigint
        when 'hour' then floor(pg_catalog.pg_extract('epoch', $2) / 3600)::bigint
        when 'minute' then floor(pg_catalog.pg_extract('epoch', $2) / 60)::bigint
        when 'second' then floor(pg_catalog.pg_extract('epoch', $2))::bigint
        when 'millisecond' then floor(pg_catalog.pg_extract('epoch', $2) * 1000)::bigint
        when 'microsecond' then (pg_catalog.pg_extract('epoch', $2) * 1000000)::bigint
        else pg_catalog.rs_refuse_part($1, 'datediff')
    end
$$;

create or replace function pg_catalog.datediff(part text, earlier timestamp, later timestamp) returns bigint
language sql immutable parallel safe as $$
    select pg_catalog.rs_part_number($1, $3) - pg_catalog.rs_part_number($1, $2)
$$;

create or replace function pg_catalog.datediff(part text, earlier timestamptz, later timestamptz) returns bigint
language sql stable parallel safe as $$ select pg_catalog.datediff($1, $2::timestamp, $3::timestamp) $$;

create or replace function pg_catalog.datediff(part text, earlier date, later date) returns bigint
language sql immutable parallel safe as $$ select pg_catalog.datediff($1, $2::timestamp, $3::timestamp) $$;

create or replace function pg_catalog.datediff(part text, earlier time, later time) returns bigint
language sql immutable parallel safe as $$
    select case
        when pg_catalog.rs_part($1) in ('hour', 'minute', 'second', 'millisecond', 'microsecond')
            then pg_catalog.datediff($1, date '1970-01-01' + $2, date '1970-01-01' + $3)
        else pg_catalog.rs_refuse_part($1, 'datediff of times')
    end
$$;

create or replace function pg_catalog.datediff(part text, earlier timetz, later timetz) returns bigint
language sql stable parallel safe as $$
    select pg_catalog.datediff($1, ($2 at time zone 'UTC')::time, ($3 at time zone 'UTC')::time)
$$;

-- Literals: without these, '2023-01-01 05:00' beside a date would be read as a date.
create or replace function pg_catalog.datediff(part text, earlier text, later text) returns bigint
language sql stable parallel safe as $$ select pg_catalog.datediff($1, $2::timestamp, $3::timestamp) $$;

create or replace function pg_catalog.datediff(part text, earlier text, later date) returns bigint
language sql stable parallel safe as $$ select pg_catalog.datediff($1, $2::timestamp, $3::timestamp) $$;

create or replace function pg_catalog.datediff(part text, earlier date, later text) returns bigint
language sql stable parallel safe as $$ select pg_catalog.datediff($1, $2::timestamp, $3::timestamp) $$;

create or replace function pg_catalog.datediff(part text, earlier text, later timestamp) returns bigint
language sql stable parallel safe as $$ select pg_catalog.datediff($1, $2::timestamp, $3) $$;

create or replace function pg_catalog.datediff(part text, earlier timestamp, later text) returns bigint
language sql stable parallel safe as $$ select pg_catalog.datediff($1, $2, $3::timestamp) $$;

create or replace function pg_catalog.datediff(part text, earlier text, later timestamptz) returns bigint
language sql stable parallel safe as $$ select pg_catalog.datediff($1, $2::timestamptz, $3) $$;

create or replace function pg_catalog.datediff(part text, earlier timestamptz, later text) returns bigint
language sql stable parallel safe as $$ select pg_catalog.datediff($1, $2, $3::timestamptz) $$;

-- DATE_PART, of which PGDATE_PART is a synonym. The first decade has nine years, and 1999 lies in decade 200.
create or replace function pg_catalog.date_part(part text, moment timestamp) returns double precision
language sql immutable parallel safe as $$
    select case pg_catalog.rs_part($1)
        when 'decade' then floor(pg_catalog.pg_date_part('year', $2) / 10) + 1
        else pg_catalog.pg_date_part(pg_catalog.rs_part($1), $2)
    end
$$;

create or replace function pg_catalog.date_part(part text, moment timestamptz) returns double precision
language sql stable parallel safe as $$
    select case pg_catalog.rs_part($1)
        when 'decade' then floor(pg_catalog.pg_date_part('year', $2) / 10) + 1
        else pg_catalog.pg_date_part(pg_catalog.rs_part($1), $2)
    end
$$;

create or replace function pg_catalog.date_part(part text, moment date) returns double precision
language sql immutable parallel safe as $$ select pg_catalog.date_part($1, $2::timestamp) $$;

create or replace function pg_catalog.date_part(part text, moment text) returns double precision
language sql stable parallel safe as $$ select pg_catalog.date_part($1, $2::timestamp) $$;

create or replace function pg_catalog.date_part(part text, moment time) returns double precision
language sql immutable parallel safe as $$ select pg_catalog.pg_date_part(pg_catalog.rs_part($1), $2) $$;

create or replace function pg_catalog.date_part(part text, moment timetz) returns double precision
language sql immutable parallel safe as $$ select pg_catalog.pg_date_part(pg_catalog.rs_part($1), $2) $$;

create or replace function pg_catalog.pgdate_part(part text, moment timestamp) returns double precision
language sql immutable parallel safe as $$ select pg_catalog.date_part($1, $2) $$;

-- EXTRACT: an integer, of the part alone: the seconds without their fraction, the milliseconds without the seconds.
create or replace function pg_catalog.rs_extracted(part text, number numeric) returns numeric
language sql immutable parallel safe as $$
    select case pg_catalog.rs_part($1)
        when 'second' then trunc($2)
        when 'millisecond' then trunc($2) % 1000
        when 'microsecond' then $2 % 1000
        when 'epoch' then floor($2)
        else $2
    end
$$;

create or replace function pg_catalog."extract"(part text, moment timestamp) returns integer
language sql immutable parallel safe as $$
    select case pg_catalog.rs_part($1)
        when 'decade' then floor(pg_catalog.pg_extract('year', $2) / 10)::integer + 1
        else pg_catalog.rs_extracted($1, pg_catalog.pg_extract(pg_catalog.rs_part($1), $2))::integer
    end
$$;

create or replace function pg_catalog."extract"(part text, moment date) returns integer
language sql immutable parallel safe as $$ select pg_catalog."extract"($1, $2::timestamp) $$;

create or replace function pg_catalog."extract"(part text, moment time) returns integer
language sql immutable parallel safe as $$
    select pg_catalog.rs_extracted($1, pg_catalog.pg_extract(pg_catalog.rs_part($1), $2))::integer
$$;

create or replace function pg_catalog."extract"(part text, moment timetz) returns integer
language sql immutable parallel safe as $$
    select pg_catalog.rs_extracted($1, pg_catalog.pg_extract(pg_catalog.rs_part($1), $2))::integer
$$;

create or replace function pg_catalog."extract"(part text, moment timestamptz) returns double precision
language sql stable parallel safe as $$
    select case pg_catalog.rs_part($1)
        when 'decade' then floor(pg_catalog.pg_date_part('year', $2) / 10) + 1
        when 'epoch' then pg_catalog.pg_date_part('epoch', $2)
        else pg_catalog.rs_extracted($1, pg_catalog.pg_extract(pg_catalog.rs_part($1), $2))::double precision
    end
$$;

-- DATE_TRUNC: of a date it is a timestamp without a time zone, and not one with.
create or replace function pg_catalog.date_trunc(part text, moment timestamp) returns timestamp
language sql immutable parallel safe as $$ select pg_catalog.pg_date_trunc(pg_catalog.rs_part($1), $2) $$;

create or replace function pg_catalog.date_trunc(part text, moment timestamptz) returns timestamptz
language sql stable parallel safe as $$ select pg_catalog.pg_date_trunc(pg_catalog.rs_part($1), $2) $$;

create or replace function pg_catalog.date_trunc(part text, moment date) returns timestamp
language sql immutable parallel safe as $$ select pg_catalog.date_trunc($1, $2::timestamp) $$;

create or replace function pg_catalog.date_trunc(part text, moment text) returns timestamp
language sql stable parallel safe as $$ select pg_catalog.date_trunc($1, $2::timestamp) $$;

-- LAST_DAY: a date, whatever the argument is.
create or replace function pg_catalog.last_day(moment timestamp) returns date
language sql immutable parallel safe as $$
    select (pg_catalog.pg_date_trunc('month', $1) + interval '1 month' - interval '1 day')::date
$$;

create or replace function pg_catalog.last_day(moment date) returns date
language sql immutable parallel safe as $$ select pg_catalog.last_day($1::timestamp) $$;

create or replace function pg_catalog.last_day(moment timestamptz) returns date
language sql stable parallel safe as $$ select pg_catalog.last_day($1::timestamp) $$;

create or replace function pg_catalog.last_day(moment text) returns date
language sql stable parallel safe as $$ select pg_catalog.last_day($1::timestamp) $$;

-- ADD_MONTHS: unlike DATEADD, the last day of a month becomes the last day of a month.
create or replace function pg_catalog.add_months(moment timestamp, months integer) returns timestamp
language sql immutable parallel safe as $$
    select case
        when $1::date = pg_catalog.last_day($1)
            then pg_catalog.last_day($1 + $2 * interval '1 month') + $1::time
        else $1 + $2 * interval '1 month'
    end
$$;

create or replace function pg_catalog.add_months(moment date, months integer) returns timestamp
language sql immutable parallel safe as $$ select pg_catalog.add_months($1::timestamp, $2) $$;

create or replace function pg_catalog.add_months(moment timestamptz, months integer) returns timestamp
language sql stable parallel safe as $$ select pg_catalog.add_months($1::timestamp, $2) $$;

create or replace function pg_catalog.add_months(moment text, months integer) returns timestamp
language sql stable parallel safe as $$ select pg_catalog.add_months($1::timestamp, $2) $$;

-- MONTHS_BETWEEN: whole between equal days and between last days of months, else days and time count as 31sts.
create or replace function pg_catalog.months_between(later timestamp, earlier timestamp) returns double precision
language sql immutable parallel safe as $$
    select (pg_catalog.rs_part_number('month', $1) - pg_catalog.rs_part_number('month', $2))::double precision + case
        when pg_catalog.pg_extract('day', $1) = pg_catalog.pg_extract('day', $2)
            or ($1::date = pg_catalog.last_day($1) and $2::date = pg_catalog.last_day($2))
            then 0
        else (
            (pg_catalog.pg_extract('day', $1) - pg_catalog.pg_extract('day', $2)) * 86400
            + pg_catalog.pg_extract('epoch', $1::time) - pg_catalog.pg_extract('epoch', $2::time)
        )::double precision / (31 * 86400)
    end
$$;

create or replace function pg_catalog.months_between(later date, earlier date) returns double precision
language sql immutable parallel safe as $$ select pg_catalog.months_between($1::timestamp, $2::timestamp) $$;

create or replace function pg_catalog.months_between(later timestamptz, earlier timestamptz) returns double precision
language sql stable parallel safe as $$ select pg_catalog.months_between($1::timestamp, $2::timestamp) $$;

create or replace function pg_catalog.months_between(later text, earlier text) returns double precision
language sql stable parallel safe as $$ select pg_catalog.months_between($1::timestamp, $2::timestamp) $$;

-- NEXT_DAY: the first such day after the date, a week later if the date is one.
create or replace function pg_catalog.rs_day_of_week(day text) returns integer
language plpgsql immutable strict parallel safe as $$
declare
    found integer := case
        when lower(day) in ('su', 'sun', 'sunday') then 0
        when lower(day) in ('m', 'mo', 'mon', 'monday') then 1
        when lower(day) in ('tu', 'tue', 'tues', 'tuesday') then 2
        when lower(day) in ('w', 'we', 'wed', 'wednesday') then 3
        when lower(day) in ('th', 'thu', 'thurs', 'thursday') then 4
        when lower(day) in ('f', 'fr', 'fri', 'friday') then 5
        when lower(day) in ('sa', 'sat', 'saturday') then 6
    end;
begin
    if found is null then
        raise exception using errcode = '22023', message = format('next_day: "%s" is no day of the week', day);
    end if;
    return found;
end
$$;

create or replace function pg_catalog.next_day(moment date, day text) returns date
language sql immutable parallel safe as $$
    select $1 + 1 + ((pg_catalog.rs_day_of_week($2) - pg_catalog.pg_date_part('dow', $1)::integer + 6) % 7)
$$;

create or replace function pg_catalog.next_day(moment timestamp, day text) returns date
language sql immutable parallel safe as $$ select pg_catalog.next_day($1::date, $2) $$;

create or replace function pg_catalog.next_day(moment timestamptz, day text) returns date
language sql stable parallel safe as $$ select pg_catalog.next_day($1::date, $2) $$;

create or replace function pg_catalog.next_day(moment text, day text) returns date
language sql stable parallel safe as $$ select pg_catalog.next_day($1::date, $2) $$;

-- CONVERT_TIMEZONE([from,] to, timestamp): from UTC unless it says from where.
create or replace function pg_catalog.convert_timezone(source_zone text, target_zone text, moment timestamp)
returns timestamp
language sql immutable parallel safe as $$ select $3 at time zone $1 at time zone $2 $$;

create or replace function pg_catalog.convert_timezone(source_zone text, target_zone text, moment timestamptz)
returns timestamp
language sql stable parallel safe as $$ select pg_catalog.convert_timezone($1, $2, $3::timestamp) $$;

create or replace function pg_catalog.convert_timezone(source_zone text, target_zone text, moment text)
returns timestamp
language sql stable parallel safe as $$ select pg_catalog.convert_timezone($1, $2, $3::timestamp) $$;

create or replace function pg_catalog.convert_timezone(target_zone text, moment timestamp) returns timestamp
language sql immutable parallel safe as $$ select pg_catalog.convert_timezone('UTC', $1, $2) $$;

create or replace function pg_catalog.convert_timezone(target_zone text, moment timestamptz) returns timestamp
language sql stable parallel safe as $$ select $2 at time zone $1 $$;

create or replace function pg_catalog.convert_timezone(target_zone text, moment text) returns timestamp
language sql stable parallel safe as $$ select pg_catalog.convert_timezone('UTC', $1, $2::timestamp) $$;

-- TRUNC of a timestamp is its date.
create or replace function pg_catalog.trunc(moment timestamp) returns date
language sql immutable parallel safe as $$ select $1::date $$;

create or replace function pg_catalog.trunc(moment timestamptz) returns date
language sql stable parallel safe as $$ select $1::date $$;

create or replace function pg_catalog.trunc(moment date) returns date
language sql immutable parallel safe as $$ select $1 $$;

-- TO_TIMESTAMP of a timestamp's text, and with is_strict. PostgreSQL is always strict.
create or replace function pg_catalog.to_timestamp(moment text, format text, is_strict boolean) returns timestamptz
language sql stable parallel safe as $$ select pg_catalog.to_timestamp($1, $2) $$;

create or replace function pg_catalog.to_timestamp(moment timestamp, format text) returns timestamptz
language sql stable parallel safe as $$ select pg_catalog.to_timestamp($1::text, $2) $$;
