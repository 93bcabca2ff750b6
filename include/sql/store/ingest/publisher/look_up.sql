-- The publisher that each text in `reference` means, by source id or else by name. A row is held whose text means no
-- publisher yet, or several.
select
    r.ref,
    coalesce(by_id.publisher_id, by_name.publisher_id) as publisher_id,
    case
        when coalesce(by_id.publisher_id, by_name.publisher_id) is null then row(
            'held', %(column_name)s, 'unknown_publisher', format('no publisher has the id or name %%L yet', r.ref),
            'publisher', r.ref, r.ref_key
        )::ops.refusal
        when by_name.publishers > 1 then row(
            'held', %(column_name)s, 'ambiguous_publisher',
            format('%%s publishers have the name %%L: only an id can tell them apart', by_name.publishers, r.ref),
            'publisher', r.ref, r.ref_key
        )::ops.refusal
    end as refusal
from reference as r
left join ops.publisher_by_id as by_id on r.ref = by_id.alias_id
left join lateral (
    select v.publisher_id, v.publishers
    from ops.publisher_by_name as v
    where by_id.publisher_id is null and v.name_key = r.ref_key
    -- It has one. So each is looked up; without this, all names would be reckoned.
    limit 1
) as by_name on true
