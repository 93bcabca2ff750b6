-- How many keys of a table differ, by what is wrong with them.
select
    kind,
    count(*) as key_count
from sync_found
group by kind
