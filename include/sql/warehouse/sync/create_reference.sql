-- What the store says of rows, by key: filled by COPY. Without row_hash the store has no such row.
create temp table sync_reference as
select
    {key},
    cast('' as varchar(32)) as row_hash,
    cast(false as boolean) as is_later
from {compared} as t
limit 0
