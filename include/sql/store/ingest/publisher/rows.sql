-- The staged publishers, each beside what its source id last reported.
select
    s.load_line,
    s.publisher_id,
    s.name,
    s.name_key,
    s.country,
    a.name_key as standing_name_key,
    null::ops.refusal as refusal,
    a.load_id as standing_load_id,
    a.load_line as standing_load_line,
    case
        when a.alias_id is null then 'inserted'
        when ((a.name, a.name_key, a.country_code) is not distinct from (s.name, s.name_key, s.country))
            then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
left join store.publisher_alias as a on s.publisher_id = a.alias_id
