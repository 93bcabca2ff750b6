-- The groups of keys of which it is known why they differ: by a key that was found to, or that the store has changed.
select {changed_group} as key_group
from sync_reference as r
where r.is_later
union
select {found_group} as key_group
from sync_found as f
