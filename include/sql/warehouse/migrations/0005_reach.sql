-- Reach of notifications, play without areas, and where each file lies: what the dashboard reads beside 0004_marts.sql.

alter table ops.load_account add column archive_key varchar(4096);

create table ops.notification_account (
    day date not null,
    rule_id varchar(256) not null,
    expected bigint,
    delivered bigint,
    opted_out bigint,
    gone bigint,
    rule_disabled bigint,
    rule_gone bigint,
    read bigint,
    primary key (day, rule_id)
) diststyle all sortkey (day);

create table mart.notification (
    day date not null,
    rule_id varchar(256) not null,
    topic varchar(800),
    expected bigint not null,
    delivered bigint not null,
    opted_out bigint not null,
    gone bigint not null,
    rule_disabled bigint not null,
    rule_gone bigint not null,
    read bigint not null,
    primary key (day, rule_id)
) diststyle all sortkey (day);

create table mart.play_hour (
    hour timestamptz not null,
    sessions bigint not null,
    timed_sessions bigint not null,
    seconds bigint not null,
    players bigint not null,
    primary key (hour)
) diststyle all sortkey (hour);

create table mart.play_cell (
    day date not null,
    cell_id integer not null,
    sessions bigint not null,
    timed_sessions bigint not null,
    seconds bigint not null,
    longitudes numeric(38, 6) not null,
    latitudes numeric(38, 6) not null,
    primary key (day, cell_id)
) diststyle even sortkey (day);
