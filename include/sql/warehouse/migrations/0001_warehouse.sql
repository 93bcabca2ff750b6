-- The warehouse as it begins: a table for each table of the store, and what the sync remembers and tells.
--
-- Tables have the store's names and columns, but for row_xid, which means something in PostgreSQL alone, and for
-- points, which are two numbers (marketplace.sync.types). A view or a mart reads them by the same names.
--
-- Widths are in bytes, and a character may have four of them: 4 times the max_length of the contract's column. A value
-- that does not fit ends the sync with its column's name: widen the column by a migration. The normalised forms
-- (name_key, title_key) have room for letters that become several. Only keys are NOT NULL: what else must be there is
-- the store's to say, and Redshift cannot take a NOT NULL back.
--
-- Distribution and order
--   Small tables that everything is joined with lie whole on every node (diststyle all): games, publishers, releases.
--   A transaction and its lines lie on the same node (distkey transaction_id): their join moves nothing.
--   What a customer does lies with the customer (distkey customer_id): play, wishes. A transaction could lie there as
--   well, but its lines, which are most of the rows, name no customer.
--   Facts are sorted by time, since marts and dashboards ask for days: a query reads only the blocks of its days. Lines
--   have no time of their own, and are sorted as they are joined. Small tables are sorted by their key.
-- Keys are noted, for the planner, and not enforced: the sync writes each once, and the reconciliation checks that.

create schema if not exists store;

create table store.publisher (
    publisher_id varchar(256) not null,
    name varchar(800),
    name_key varchar(8000),
    country_code varchar(2),
    load_id bigint,
    load_line bigint,
    primary key (publisher_id)
) diststyle all sortkey (publisher_id);

create table store.publisher_alias (
    alias_id varchar(256) not null,
    publisher_id varchar(256),
    name varchar(800),
    name_key varchar(8000),
    country_code varchar(2),
    load_id bigint,
    load_line bigint,
    primary key (alias_id)
) diststyle all sortkey (alias_id);

create table store.game (
    game_id varchar(256) not null,
    title varchar(800),
    title_key varchar(8000),
    release_date date,
    genre varchar(400),
    load_id bigint,
    load_line bigint,
    primary key (game_id)
) diststyle all sortkey (game_id);

create table store.game_alias (
    alias_id varchar(256) not null,
    game_id varchar(256),
    title varchar(800),
    title_key varchar(8000),
    release_date date,
    genre varchar(400),
    load_id bigint,
    load_line bigint,
    primary key (alias_id)
) diststyle all sortkey (alias_id);

create table store.game_release (
    game_id varchar(256) not null,
    platform varchar(200) not null,
    publisher_id varchar(256),
    load_id bigint,
    load_line bigint,
    primary key (game_id, platform)
) diststyle all sortkey (game_id, platform);

create table store.customer (
    customer_id bigint not null,
    ref varchar(256),
    name varchar(800),
    email varchar(1016),
    locale varchar(800),
    time_zone varchar(800),
    country_code varchar(2),
    marketing_opt_in boolean,
    created_at timestamptz,
    load_id bigint,
    load_line bigint,
    primary key (customer_id)
) distkey (customer_id) sortkey (customer_id);

create table store.wishlist (
    customer_id bigint not null,
    game_id varchar(256) not null,
    added_at timestamptz,
    load_id bigint,
    load_line bigint,
    primary key (customer_id, game_id)
) distkey (customer_id) sortkey (customer_id, game_id);

create table store.transaction (
    transaction_id varchar(256) not null,
    type varchar(6),
    occurred_at timestamptz,
    currency varchar(3),
    reported_total numeric(18, 4),
    customer_id bigint,
    load_id bigint,
    load_line bigint,
    primary key (transaction_id)
) distkey (transaction_id) sortkey (occurred_at);

create table store.transaction_line (
    transaction_id varchar(256) not null,
    line_no integer not null,
    game_id varchar(256),
    platform varchar(200),
    region varchar(200),
    gross numeric(18, 4),
    fee numeric(18, 4),
    reported_net numeric(18, 4),
    load_id bigint,
    load_line bigint,
    primary key (transaction_id, line_no)
) distkey (transaction_id) sortkey (transaction_id, line_no);

create table store.play_session (
    session_id varchar(256) not null,
    customer_id bigint,
    game_id varchar(256),
    platform varchar(200),
    started_at timestamptz,
    duration_s integer,
    location_longitude numeric(9, 6),
    location_latitude numeric(9, 6),
    load_id bigint,
    load_line bigint,
    primary key (session_id)
) distkey (customer_id) sortkey (started_at);

create table store.notification_rule (
    rule_id varchar(256) not null,
    topic varchar(800),
    subject varchar(4000),
    body varchar(65535),
    locale varchar(800),
    due_kind varchar(9),
    due_value varchar(800),
    audience varchar(65535),
    enabled boolean,
    load_id bigint,
    load_line bigint,
    primary key (rule_id)
) diststyle all sortkey (rule_id);

-- ------------------------------------------------------------------------------------- what the sync remembers

-- The watermark of each table: the snapshot of the store that the table here is equal to, and whose it is. (The bare
-- word snapshot is one that Redshift keeps for itself.) synced_at is when it was taken: what was committed later may
-- be missing. definition is what the two tables were by definition: a watermark of others means nothing.
create table ops.sync_state (
    table_name varchar(128) not null,
    definition varchar(64) not null,
    system_identifier varchar(32) not null,
    token varchar(64) not null,
    store_snapshot varchar(65535) not null,
    synced_at timestamptz not null,
    run_id varchar(1000) not null,
    primary key (table_name)
) diststyle all;

-- The account: what each sync has done to each table. seconds are those of its export.
create table ops.sync_run (
    run_id varchar(1000) not null,
    table_name varchar(128) not null,
    mode varchar(16) not null,
    reason varchar(1000),
    store_snapshot varchar(65535) not null,
    exported bigint not null,
    deleted bigint not null,
    files integer not null,
    bytes bigint not null,
    seconds numeric(12, 3) not null,
    synced_at timestamptz not null
) diststyle even sortkey (synced_at);

-- What the reconciliation has found to differ, and by which run it was repaired.
create table ops.sync_difference (
    run_id varchar(1000) not null,
    table_name varchar(128) not null,
    key varchar(65535) not null,
    kind varchar(16) not null,
    found_at timestamptz not null,
    repaired_by varchar(1000)
) diststyle even sortkey (found_at);
