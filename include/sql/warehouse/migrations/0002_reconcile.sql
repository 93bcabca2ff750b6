-- The account of the reconciliation: what each run has compared with the store, table by table.

-- scope: changed, the rows that the run had loaded or deleted; all, every row of the table. seconds are those of the
-- comparison; what the store says was computed by the export.
create table ops.sync_check (
    run_id varchar(1000) not null,
    table_name varchar(128) not null,
    scope varchar(16) not null,
    compared bigint not null,
    differences bigint not null,
    seconds numeric(12, 3) not null,
    checked_at timestamptz not null
) diststyle even sortkey (checked_at);
