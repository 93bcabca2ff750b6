-- What the store says of each row of some groups, by key: its checksum, or that it has changed since a snapshot, and so
-- the warehouse is not to have it as it is now. A key that is gone since then is told by its tombstones.
select
    {key},
    case when not {is_later} then {row_hash} end as row_hash,
    {is_later} as is_later
from {table} as present
where {key_group} in ({groups})
union all
select distinct
    {tombstone_key},
    null::text as row_hash,
    true as is_later
from ops.tombstone
where
    table_name = {table_name}
    and {is_later}
    and not exists (select from {table} as present where {is_present})
