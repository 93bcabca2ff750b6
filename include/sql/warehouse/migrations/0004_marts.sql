-- The marts: what analysts and the dashboard read, each built anew from the synced tables by a file of ../marts.
--
-- Also the tables by which a number is followed back to a file (ops.load_account, ops.load_finding), play to an
-- area. Marts have names beside ids, so that nobody needs a join; they are small, and sorted by time. Texts are as
-- wide as those they come from. A mart's key is its grain; it is noted, not enforced, and tested.

create schema if not exists geo;
create schema if not exists mart;

alter table store.play_session add column cell_id integer;

create table geo.area (
    area_id varchar(256) not null,
    name varchar(800),
    kind varchar(400),
    load_id bigint,
    load_line bigint,
    primary key (area_id)
) diststyle all sortkey (area_id);

create table geo.area_cell (
    area_id varchar(256) not null,
    cell_id integer not null,
    primary key (area_id, cell_id)
) diststyle all sortkey (cell_id);

create table ops.load_account (
    load_id bigint not null,
    kind varchar(16),
    dataset varchar(1024),
    object_key varchar(1024),
    file_load_id bigint,
    put_at timestamptz,
    finished_at timestamptz,
    status varchar(16),
    reason varchar(65535),
    read bigint,
    accepted bigint,
    rejected bigint,
    held bigint,
    inserted bigint,
    updated bigint,
    unchanged bigint,
    superseded bigint,
    issues bigint,
    primary key (load_id)
) diststyle all sortkey (load_id);

create table ops.load_finding (
    load_id bigint not null,
    outcome varchar(8) not null,
    column_name varchar(256) not null,
    reason varchar(256) not null,
    findings bigint,
    primary key (load_id, outcome, column_name, reason)
) diststyle all sortkey (load_id);

-- ------------------------------------------------------------------------------------------------------- marts

create table mart.revenue (
    day date not null,
    publisher_id varchar(256) not null,
    publisher varchar(800),
    game_id varchar(256) not null,
    game varchar(800),
    platform varchar(200) not null,
    region varchar(200) not null,
    currency varchar(3) not null,
    sold_lines bigint not null,
    sold_gross numeric(38, 4) not null,
    sold_fee numeric(38, 4) not null,
    refunded_lines bigint not null,
    refunded_gross numeric(38, 4) not null,
    refunded_fee numeric(38, 4) not null,
    primary key (day, publisher_id, game_id, platform, region, currency)
) diststyle even sortkey (day);

create table mart.payout (
    month date not null,
    publisher_id varchar(256) not null,
    publisher varchar(800),
    currency varchar(3) not null,
    earned numeric(38, 4) not null,
    paid numeric(38, 4) not null,
    primary key (month, publisher_id, currency)
) diststyle all sortkey (month);

create table mart.play (
    hour timestamptz not null,
    area_id varchar(256) not null,
    area varchar(800),
    kind varchar(400),
    sessions bigint not null,
    timed_sessions bigint not null,
    seconds bigint not null,
    players bigint not null,
    primary key (hour, area_id)
) diststyle even sortkey (hour);

create table mart.data_quality (
    file_load_id bigint not null,
    load_id bigint not null,
    dataset varchar(1024),
    object_key varchar(1024),
    finished_at timestamptz,
    outcome varchar(8) not null,
    column_name varchar(256) not null,
    reason varchar(65535) not null,
    findings bigint not null,
    read bigint not null,
    primary key (load_id, outcome, column_name, reason)
) diststyle all sortkey (load_id);

-- What the marts were built of: the last sync that had changed anything, and the moment of the store that no table is
-- older than.
create table mart.built (
    mart varchar(128) not null,
    rows_built bigint not null,
    run_id varchar(1000) not null,
    as_of timestamptz not null,
    built_at timestamptz not null,
    primary key (mart)
) diststyle all;
