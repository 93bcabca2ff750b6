-- A run of correct_alias does its work once, however often its task is tried.
create table ops.correction_run (
    run text primary key,
    result jsonb not null
);
comment on table ops.correction_run is
'What each run of correct_alias has changed: kept in the transaction that changed it, so that a task that dies before '
'it can say so is told when it is tried again';

grant select, insert on ops.correction_run to store_writer;
