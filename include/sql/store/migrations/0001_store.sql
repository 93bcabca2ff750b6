-- The store as it begins: schemas, ledger, clean model, areas, what the warehouse sync stands on, and grants.
--
-- Conventions
--   load_id, load_line   the load (ops.load) and the physical line of its file that the values came from;
--                        null for a row that no file brought. No foreign key: it would cost a look-up a row,
--                        and a load is never deleted (nobody is granted that).
--   row_xid              the transaction that last wrote the row: what an incremental reader compares with
--                        snapshots. A default on insert (a trigger there costs 40 % of a bulk load), a
--                        trigger on update.
--   name_key, title_key  the normalised form by which names are matched; made by the contracts, never by SQL.

create schema ops;
create schema store;
create schema staging;
create schema geo;

comment on schema ops is
'The ledger of loads, the rows they could not accept, and what the warehouse sync needs';
comment on schema store is 'The clean model, in third normal form';
comment on schema staging is 'One table per running load, gone when its transaction ends';
comment on schema geo is 'Areas, and aggregates by area';

-- Source ids in the order people expect: P-9 before P-10.
create collation store.natural_order (provider = icu, locale = 'und-u-kn-true');

-- ------------------------------------------------------------------------------------------------------- ops

create table ops.load (
    load_id bigint generated always as identity primary key,
    kind text not null check (kind in ('file', 'reload', 'retry')),
    dataset text,
    object_key text not null,
    version_id text not null,
    put_at timestamptz not null,
    size_bytes bigint not null,
    file_load_id bigint not null,
    archive_key text,
    header text [],
    status text not null default 'claimed' check (status in ('claimed', 'done', 'rejected', 'failed')),
    reason text,
    attempts integer not null default 0,
    claimed_by text,
    lease_until timestamptz,
    claimed_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    read bigint not null default 0,
    accepted bigint not null default 0,
    rejected bigint not null default 0,
    held bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    superseded bigint not null default 0,
    issues bigint not null default 0,
    tables_changed text [] not null default '{}',
    constraint load_reads_are_accounted_for check (read = accepted + rejected + held),
    constraint load_accepted_are_accounted_for check (accepted = inserted + updated + unchanged + superseded),
    constraint load_of_file_is_its_own_file check (kind <> 'file' or file_load_id = load_id)
);
create unique index load_file_once on ops.load (object_key, version_id) where kind = 'file';
create index load_order on ops.load (dataset, put_at, object_key collate "C", file_load_id);
create index load_archived on ops.load (put_at) where kind = 'file' and archive_key is not null;

comment on table ops.load is
'The ledger: one row per file version, per reload of an archived file, and per later resolution of held rows';
comment on column ops.load.kind is
'file: an object put into landing/; reload: an archived file read again; '
'retry: held rows whose reference has come';
comment on column ops.load.file_load_id is
'The load that first claimed this file. '
'A file''s order is (put_at, object_key, file_load_id), its reloads included';
comment on column ops.load.claimed_by is
'Who holds the lease: a run writes its account only while this is its name';
comment on column ops.load.header is
'The column names of the file, in its order: what a raw line is read with again';
comment on column ops.load.tables_changed is 'The tables in which this load changed at least one row';

create table ops.rejected_row (
    load_id bigint not null references ops.load,
    line_no bigint not null,
    column_name text,
    reason text not null,
    detail text not null,
    raw text not null,
    primary key (load_id, line_no)
);
comment on table ops.rejected_row is 'A row that was not accepted, as it stood in its file, and why';

create table ops.held_row (
    load_id bigint not null references ops.load,
    line_no bigint not null,
    column_name text not null,
    reason text not null,
    detail text not null,
    raw text not null,
    ref_dataset text not null,
    ref_value text not null,
    ref_key text not null,
    retried_load_id bigint references ops.load,
    primary key (load_id, line_no)
);
create index held_row_open on ops.held_row (ref_dataset, ref_value) where retried_load_id is null;
create index held_row_open_key on ops.held_row (ref_dataset, ref_key) where retried_load_id is null;
create index held_row_retried on ops.held_row (retried_load_id) where retried_load_id is not null;
comment on table ops.held_row is
'A valid row whose reference names nothing yet, or two things: '
'tried again when a later file brings what it names';

create table ops.issue (
    issue_id bigint generated always as identity primary key,
    load_id bigint not null references ops.load,
    line_no bigint not null,
    column_name text,
    kind text not null,
    detail text not null
);
create index issue_load on ops.issue (load_id, line_no);
comment on table ops.issue is 'Something a person may want to know about a row that was accepted';

comment on column ops.held_row.retried_load_id is
'The load that tried the row again: there it was accepted or rejected, or is held anew; null while it waits';

create table ops.confirmation (
    table_name text not null,
    key jsonb not null,
    load_id bigint not null,
    load_line bigint not null,
    primary key (table_name, key)
);
comment on table ops.confirmation is
'The latest file that reported a row just as it already stood: '
'an older file that is loaded late yields to it';

-- Inlined by the planner, so that the rule stands once and costs nothing.
create function ops.is_later(
    standing_load bigint, standing_line bigint, line_no bigint, later_loads bigint [], same_file bigint []
) returns boolean language sql immutable return
coalesce(
    standing_load = any(later_loads) or (standing_load = any(same_file) and standing_line > line_no), false
);
comment on function ops.is_later is
'Whether the report that stands (its load and line) comes after line_no of the file that is being loaded';

create table ops.tombstone (
    tombstone_id bigint generated always as identity primary key,
    table_name text not null,
    key jsonb not null,
    row_xid xid8 not null default pg_current_xact_id()
);
create index tombstone_row_xid on ops.tombstone (row_xid);
comment on table ops.tombstone is
'A row that was deleted, or whose key was changed: what the warehouse must delete';

-- ------------------------------------------------------------------------------------------------- the store

create table store.publisher (
    publisher_id text primary key,
    name text not null,
    name_key text not null constraint publisher_one_per_name unique deferrable initially deferred,
    country_code text check (country_code ~ '^[A-Z]{2}$'),
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id()
);
comment on table store.publisher is
'A publisher: all source ids of one normalised name, known by the lowest of them';
comment on column store.publisher.country_code is
'ISO 3166-1 alpha-2, of the lowest source id that reported one';

create table store.publisher_alias (
    alias_id text primary key,
    publisher_id text not null references store.publisher deferrable initially deferred,
    name text not null,
    name_key text not null,
    country_code text check (country_code ~ '^[A-Z]{2}$'),
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id()
);
create index publisher_alias_publisher on store.publisher_alias (publisher_id);
create index publisher_alias_name_key on store.publisher_alias (name_key);
comment on table store.publisher_alias is
'What each source id last reported, and the publisher that it stands for';

create table store.game (
    game_id text primary key,
    title text not null,
    title_key text not null,
    release_date date check (release_date >= '1950-01-01' and release_date < '2101-01-01'),
    genre text,
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id()
);
create index game_title_key on store.game (title_key);
comment on table store.game is
'A game: all source ids of one normalised title whose release dates agree or are missing, '
'known by the lowest of them';

create table store.game_alias (
    alias_id text primary key,
    game_id text not null references store.game deferrable initially deferred,
    title text not null,
    title_key text not null,
    release_date date check (release_date >= '1950-01-01' and release_date < '2101-01-01'),
    genre text,
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id()
);
create index game_alias_game on store.game_alias (game_id);
create index game_alias_title_key on store.game_alias (title_key);
comment on table store.game_alias is 'What each source id last reported, and the game that it stands for';

create table store.game_release (
    game_id text not null references store.game,
    platform text not null,
    publisher_id text not null references store.publisher,
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id(),
    primary key (game_id, platform)
);
create index game_release_publisher on store.game_release (publisher_id);
comment on table store.game_release is
'Who publishes a game on a platform, by the earliest report; a line that says otherwise is an issue';

create table store.customer (
    customer_id bigint generated always as identity primary key,
    ref text not null unique,
    name text,
    email text,
    locale text,
    time_zone text,
    country_code text check (country_code ~ '^[A-Z]{2}$'),
    marketing_opt_in boolean,
    created_at timestamptz check (created_at >= '1970-01-01Z' and created_at < '2101-01-01Z'),
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id()
);
comment on table store.customer is
'A customer; a bare row (only ref) is one that is known by reference, until the customer file completes it';

create table store.wishlist (
    customer_id bigint not null references store.customer,
    game_id text not null references store.game,
    added_at timestamptz check (added_at >= '1970-01-01Z' and added_at < '2101-01-01Z'),
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id(),
    primary key (customer_id, game_id)
);
create index wishlist_game on store.wishlist (game_id);
comment on table store.wishlist is 'The games that a customer wishes for';

create table store.transaction (
    transaction_id text primary key,
    type text not null check (type in ('sale', 'refund', 'payout')),
    occurred_at timestamptz not null check (occurred_at >= '1970-01-01Z' and occurred_at < '2101-01-01Z'),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    reported_total numeric(18, 4) not null,
    customer_id bigint references store.customer,
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id(),
    constraint transaction_payout_has_no_customer check ((type = 'payout') = (customer_id is null)),
    constraint transaction_total_has_its_sign check (
        reported_total < 'NaN'
        and case when type = 'sale' then reported_total >= 0 else reported_total <= 0 end
    )
);
create index transaction_customer on store.transaction (customer_id);
create index transaction_occurred_at on store.transaction (occurred_at);
comment on table store.transaction is 'A sale or refund to a customer, or a payout to publishers';
comment on column store.transaction.reported_total is
'As the source reported it; store.transaction_balance has what it should be';

create table store.transaction_line (
    transaction_id text not null references store.transaction,
    line_no integer not null check (line_no > 0),
    game_id text not null,
    platform text not null,
    region text not null,
    gross numeric(18, 4) not null check (gross < 'NaN'),
    fee numeric(18, 4) not null check (fee < 'NaN'),
    reported_net numeric(18, 4) not null check (reported_net < 'NaN'),
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id(),
    primary key (transaction_id, line_no),
    foreign key (game_id, platform) references store.game_release
);
create index transaction_line_release on store.transaction_line (game_id, platform);
comment on table store.transaction_line is
'A line of a transaction: a release, where it was sold, and for how much';
comment on column store.transaction_line.reported_net is
'As the source reported it; it should be gross - fee';

create table store.play_session (
    session_id text primary key,
    customer_id bigint not null references store.customer,
    game_id text not null references store.game,
    platform text not null,
    started_at timestamptz not null check (started_at >= '1970-01-01Z' and started_at < '2101-01-01Z'),
    duration_s integer check (duration_s >= 0),
    location geography (point, 4326) not null,
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id()
);
create index play_session_customer on store.play_session (customer_id);
create index play_session_game on store.play_session (game_id);
create index play_session_started_at on store.play_session (started_at);
create index play_session_location on store.play_session using gist (location);
comment on table store.play_session is 'A customer playing a game, where and for how long';

create table store.notification_rule (
    rule_id text primary key,
    topic text not null,
    subject text not null,
    body text not null,
    locale text,
    due_kind text not null check (due_kind in ('date', 'weekday', 'month_day', 'event')),
    due_value text not null,
    audience jsonb not null default '{}',
    enabled boolean not null default true,
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id()
);
comment on table store.notification_rule is 'What to say (subject, body), to whom (audience), and when (due)';

create view store.transaction_balance as
select
    t.transaction_id,
    t.type,
    t.currency,
    t.reported_total,
    -- A customer pays the gross; a publisher is paid the net.
    sum(case when t.type = 'payout' then l.gross - l.fee else l.gross end) as expected_total,
    sum(l.reported_net) as reported_net,
    sum(l.gross - l.fee) as expected_net,
    count(*) as lines
from store.transaction as t
inner join store.transaction_line as l on t.transaction_id = l.transaction_id
group by t.transaction_id;
comment on view store.transaction_balance is
'Totals and nets as reported, beside what the lines say they should be';

-- ------------------------------------------------------------------------------------------------------- geo

create table geo.area (
    area_id text primary key,
    name text not null,
    kind text not null,
    boundary geometry (multipolygon, 4326) not null,
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id()
);
create index area_boundary on geo.area using gist (boundary);
comment on table geo.area is 'A named polygon that play is counted by';

-- ----------------------------------------------------------------------------------- what the sync stands on

create function ops.stamp_row() returns trigger language plpgsql as $$
begin
    new.row_xid := pg_current_xact_id();
    return new;
end $$;
comment on function ops.stamp_row is 'An updated row belongs to the transaction that updated it';

-- Security definer: a writer leaves tombstones by deleting, never by hand.
create function ops.leave_tombstone() returns trigger language plpgsql
security definer set search_path = pg_catalog as $$
declare
    old_key jsonb := '{}';
    same boolean := tg_op = 'UPDATE';
    new_row jsonb := to_jsonb(new);
    old_row jsonb := to_jsonb(old);
    column_name text;
begin
    foreach column_name in array tg_argv loop
        old_key := old_key || jsonb_build_object(column_name, old_row -> column_name);
        same := same and old_row -> column_name = new_row -> column_name;
    end loop;
    if not same then
        insert into ops.tombstone (table_name, key) values (tg_table_schema || '.' || tg_table_name, old_key);
    end if;
    return null;
end $$;
comment on function ops.leave_tombstone is
'A deleted row, or a key that was changed away, is remembered by its key';
-- Who may execute a trigger function may hang it on a table of their own.
revoke execute on function ops.leave_tombstone from public;

create function ops.refuse_truncate() returns trigger language plpgsql as $$
begin
    raise exception
        'TRUNCATE of %.% is refused: it leaves no tombstones, so the warehouse would keep the rows',
        tg_table_schema, tg_table_name
        using hint = 'Use DELETE.';
end $$;

-- For every table with row_xid: its index, and triggers that fire under session_replication_role = replica as
-- well.
create procedure ops.track_changes(tracked regclass) language plpgsql as $$
declare
    table_name text := (select c.relname from pg_class c where c.oid = tracked);
    key_columns text[] := (
        select array_agg(a.attname order by k.position)
          from pg_index i
         cross join lateral unnest(i.indkey) with ordinality as k (attnum, position)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
         where i.indrelid = tracked and i.indisprimary);
    key_arguments text := (select string_agg(quote_literal(c), ', ') from unnest(key_columns) c);
    key_list text := (select string_agg(quote_ident(c), ', ') from unnest(key_columns) c);
begin
    execute format('create index %I on %s (row_xid)', table_name || '_row_xid', tracked);
    execute format('create trigger stamp_row before update on %s
                    for each row execute function ops.stamp_row()', tracked);
    execute format('create trigger leave_tombstone_of_row after delete on %s
                    for each row execute function ops.leave_tombstone(%s)', tracked, key_arguments);
    execute format('create trigger leave_tombstone_of_key after update of %s on %s
                    for each row execute function ops.leave_tombstone(%s)', key_list, tracked, key_arguments);
    execute format('create trigger refuse_truncate before truncate on %s
                    for each statement execute function ops.refuse_truncate()', tracked);
    execute format('alter table %s enable always trigger stamp_row', tracked);
    execute format('alter table %s enable always trigger leave_tombstone_of_row', tracked);
    execute format('alter table %s enable always trigger leave_tombstone_of_key', tracked);
    execute format('alter table %s enable always trigger refuse_truncate', tracked);
end $$;
comment on procedure ops.track_changes is
'Make every change of a table with row_xid visible to the warehouse sync';

call ops.track_changes('store.publisher');
call ops.track_changes('store.publisher_alias');
call ops.track_changes('store.game');
call ops.track_changes('store.game_alias');
call ops.track_changes('store.game_release');
call ops.track_changes('store.customer');
call ops.track_changes('store.wishlist');
call ops.track_changes('store.transaction');
call ops.track_changes('store.transaction_line');
call ops.track_changes('store.play_session');
call ops.track_changes('store.notification_rule');
call ops.track_changes('geo.area');

-- ---------------------------------------------------------------------------------------------------- grants

grant usage on schema ops, store, geo to store_writer, store_reader;
grant usage, create on schema staging to store_writer;

grant select on all tables in schema ops, store, geo to store_writer;
grant insert, update on ops.load to store_writer;
grant insert on ops.rejected_row, ops.issue to store_writer;
grant usage on all sequences in schema ops, store to store_writer;
grant insert, update on ops.held_row, ops.confirmation to store_writer;

-- By which the schema's revision is checked from outside.
grant select on public.alembic_version to store_writer;

-- A reader sees no raw line: they hold personal data.
grant select on all tables in schema store, geo to store_reader;
grant select on ops.load to store_reader;

-- A writer cannot set row_xid: an explicit value would hide the row from the sync.
do $$
declare
    written record;
begin
    for written in
        select format('%I.%I', c.table_schema, c.table_name) as table_name,
               string_agg(quote_ident(c.column_name), ', ')
                   filter (where c.column_name <> 'row_xid') as columns
          from information_schema.columns c
          join information_schema.tables t using (table_schema, table_name)
         where c.table_schema in ('store', 'geo') and t.table_type = 'BASE TABLE'
         group by 1
    loop
        execute format('grant insert (%1$s), update (%1$s), delete on %2$s to store_writer',
                       written.columns, written.table_name);
    end loop;
end $$;
