-- Keep what a run has changed, for when its task is tried again.
insert into ops.correction_run (run, result)
values (%(run)s, %(result)s::jsonb);
