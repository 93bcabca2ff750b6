-- Which of these tokens the source knows.
-- Parameters: tokens.
select t.token
from ops.sync_token as t
where t.token = any(%(tokens)s);
