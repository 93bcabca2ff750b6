-- The first of the keys of a table that differ.
select
    {key},
    kind
from sync_found
order by {key}
limit {most}
