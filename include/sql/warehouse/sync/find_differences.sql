-- The keys of which a table of the warehouse does not have what sync_reference says, and what is wrong with each.
-- Rows are told apart by a text of their key: of a declared key the planner may take it that no two rows have the same.
create temp table sync_found as
select
    {key},
    case
        when r.row_hash is null then 'extra'
        when f.copies is null then 'missing'
        when f.copies > 1 then 'doubled'
        else 'changed'
    end as kind
from sync_reference as r
full join (
    select
        {row_key},
        count(*) as copies,
        min(h.row_hash) as row_hash
    from (
        select
            {table_key},
            {key_text} as key_text,
            {row_hash} as row_hash
        from {compared} as t
        where {is_compared}
    ) as h
    group by h.key_text
) as f on {same_key}
where
    -- What the store has changed since is not to be here yet; a key that it does not know is.
    not coalesce(r.is_later, false)
    and (
        (r.row_hash is null and f.copies is not null)
        or (r.row_hash is not null and (f.copies is null or f.copies > 1 or f.row_hash <> r.row_hash))
    )
