-- What a run has changed, if an earlier attempt of its task did: none is found when it died before its commit.
select c.result
from ops.correction_run as c
where c.run = %(run)s;
