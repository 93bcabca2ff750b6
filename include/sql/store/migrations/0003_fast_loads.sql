-- What makes loads fast: confirmations in packs; and why a dataset's SQL refuses a row, as one value.

-- ------------------------------------------------------------------------------------------------ confirmations

-- One row for some thousand keys of a load, not one a key: a file of a million lines that repeats what stands writes
-- a thousand rows. first_key and last_key say which rows may hold a key, without unpacking them.
alter table ops.confirmation rename to confirmation_of_key;

create table ops.confirmation (
    dataset text not null,
    load_id bigint not null,
    first_key text collate "C" not null,
    last_key text collate "C" not null,
    keys text [] not null,
    load_lines bigint [] not null,
    primary key (dataset, load_id, first_key),
    constraint confirmation_has_a_line_for_each_key check (cardinality(keys) = cardinality(load_lines))
);
-- The quicker compression, where the server has been built with it: packing a million keys takes half as long.
do $$
begin
    if exists (
        select from pg_settings as s where s.name = 'default_toast_compression' and 'lz4' = any(s.enumvals)
    ) then
        alter table ops.confirmation
        alter column keys set compression lz4,
        alter column load_lines set compression lz4;
    end if;
end
$$;

comment on table ops.confirmation is
'The latest file that reported a row just as it already stood: '
'an older file that is loaded late yields to it';
comment on column ops.confirmation.keys is
'The keys of such rows, in their order: the key column''s text, or of several (value,value)';
comment on column ops.confirmation.load_lines is 'The line of the load''s file that reported each key';

insert into ops.confirmation (dataset, load_id, first_key, last_key, keys, load_lines)
select
    p.dataset, p.load_id, min(p.key collate "C"), max(p.key collate "C"),
    array_agg(p.key order by p.key collate "C"), array_agg(p.load_line order by p.key collate "C")
from (
    select
        n.dataset, n.load_id, n.key, n.load_line,
        (row_number() over (partition by n.dataset, n.load_id order by n.key collate "C") - 1) / 2000 as pack
    from (
        select
            case c.table_name
                when 'store.publisher_alias' then 'publisher'
                when 'store.game_alias' then 'game'
                when 'store.transaction' then 'transaction'
                when 'store.transaction_line' then 'transaction_detail'
            end as dataset,
            c.load_id,
            case c.table_name
                when 'store.transaction_line'
                    then row(c.key ->> 'transaction_id', (c.key ->> 'line_no')::integer)::text
                else coalesce(c.key ->> 'alias_id', c.key ->> 'transaction_id')
            end as key,
            c.load_line
        from ops.confirmation_of_key as c
    ) as n
) as p
group by p.dataset, p.load_id, p.pack;

drop table ops.confirmation_of_key;

grant select, insert, delete on ops.confirmation to store_writer;

-- ------------------------------------------------------------------------------------- rows that cannot be applied

create type ops.refusal as (
    outcome text,
    reason_column text,
    reason text,
    detail text,
    ref_dataset text,
    ref_value text,
    ref_key text
);
comment on type ops.refusal is
'Why a dataset''s SQL holds or rejects a row: outcome held or rejected; of a held row, what it waits for';

-- ------------------------------------------------------------------------------------------- what a line is worth

-- Inlined by the planner, so that the rule stands once and costs nothing.
create function store.amount_of_line(type text, gross numeric, fee numeric) returns numeric
language sql immutable return case when type = 'payout' then gross - fee else gross end;
comment on function store.amount_of_line is
'What a line adds to its transaction''s total: a customer pays the gross, a publisher is paid the net';

create or replace view store.transaction_balance as
select
    t.transaction_id,
    t.type,
    t.currency,
    t.reported_total,
    sum(store.amount_of_line(t.type, l.gross, l.fee)) as expected_total,
    sum(l.reported_net) as reported_net,
    sum(l.gross - l.fee) as expected_net,
    count(*) as lines
from store.transaction as t
inner join store.transaction_line as l on t.transaction_id = l.transaction_id
group by t.transaction_id;
