{{ config(dist='sold_on', sort=['sold_on', 'region']) }}
select
    sold_on,
    region,
    count(*) as sales,
    sum(amount) as amount,
    listagg(sale_id, ',') within group (order by sale_id) as sale_ids
from {{ ref('sale') }}
group by sold_on, region
