-- JSON in texts, and SUPER, which is jsonb here. Amazon Redshift Database Developer Guide, "JSON functions".

-- What a text holds, and NULL if it is no JSON.
create or replace function pg_catalog.rs_json_or_null(value text) returns json
language plpgsql immutable strict parallel safe as $$
begin
    return value::json;
exception
    when invalid_text_representation or untranslatable_character then
        return null;
end
$$;

create or replace function pg_catalog.rs_json(value text, null_if_invalid boolean) returns json
language sql immutable strict parallel safe as $$
    select case when $2 then pg_catalog.rs_json_or_null($1) else $1::json end
$$;

-- IS_VALID_JSON is of objects, IS_VALID_JSON_ARRAY of arrays, CAN_JSON_PARSE of any JSON.
create or replace function pg_catalog.is_valid_json(value text) returns boolean
language sql immutable strict parallel safe as $$
    select coalesce(json_typeof(pg_catalog.rs_json_or_null($1)) = 'object', false)
$$;

create or replace function pg_catalog.is_valid_json_array(value text) returns boolean
language sql immutable strict parallel safe as $$
    select coalesce(json_typeof(pg_catalog.rs_json_or_null($1)) = 'array', false)
$$;

create or replace function pg_catalog.can_json_parse(value text) returns boolean
language sql immutable strict parallel safe as $$ select pg_catalog.rs_json_or_null($1) is not null $$;

create or replace function pg_catalog.json_parse(value text) returns jsonb
language sql immutable strict parallel safe as $$ select $1::jsonb $$;

-- Without the blanks that PostgreSQL puts after commas and colons: those within texts stay.
create or replace function pg_catalog.json_serialize(value jsonb) returns text
language sql immutable strict parallel safe as $$
    select pg_catalog.pg_regexp_replace($1::text, '("(?:[^"\\]|\\.)*")|([,:]) ', '\1\2', 'g')
$$;

create or replace function pg_catalog.json_typeof(value jsonb) returns text
language sql immutable strict parallel safe as $$ select jsonb_typeof($1) $$;

create or replace function pg_catalog.json_array_length(value text, null_if_invalid boolean default false)
returns integer
language sql immutable strict parallel safe as $$
    select json_array_length(pg_catalog.rs_json($1, $2))
$$;

create or replace function pg_catalog.json_extract_array_element_text(
    value text, place integer, null_if_invalid boolean default false
) returns text
language sql immutable strict parallel safe as $$
    select case when $2 >= 0 then pg_catalog.rs_json($1, $3) ->> $2 end
$$;

create or replace function pg_catalog.json_extract_path_text(value text, variadic path text []) returns text
language sql immutable strict parallel safe as $$ select $1::json #>> $2 $$;

-- At most five levels, and then whether what is no JSON gives NULL.
create or replace function pg_catalog.json_extract_path_text(value text, p1 text, null_if_invalid boolean)
returns text
language sql immutable strict parallel safe as $$ select pg_catalog.rs_json($1, $3) #>> array[$2] $$;

create or replace function pg_catalog.json_extract_path_text(value text, p1 text, p2 text, null_if_invalid boolean)
returns text
language sql immutable strict parallel safe as $$ select pg_catalog.rs_json($1, $4) #>> array[$2, $3] $$;

create or replace function pg_catalog.json_extract_path_text(
    value text, p1 text, p2 text, p3 text, null_if_invalid boolean
) returns text
language sql immutable strict parallel safe as $$ select pg_catalog.rs_json($1, $5) #>> array[$2, $3, $4] $$;

create or replace function pg_catalog.json_extract_path_text(
    value text, p1 text, p2 text, p3 text, p4 text, null_if_invalid boolean
) returns text
language sql immutable strict parallel safe as $$ select pg_catalog.rs_json($1, $6) #>> array[$2, $3, $4, $5] $$;

create or replace function pg_catalog.json_extract_path_text(
    value text, p1 text, p2 text, p3 text, p4 text, p5 text, null_if_invalid boolean
) returns text
language sql immutable strict parallel safe as $$ select pg_catalog.rs_json($1, $7) #>> array[$2, $3, $4, $5, $6] $$;
