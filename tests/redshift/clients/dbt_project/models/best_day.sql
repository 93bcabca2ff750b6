{{ config(materialized='view') }}
select
    region,
    sold_on,
    amount
from {{ ref('sale_by_day') }} as day
qualify row_number() over (partition by region order by amount desc, sold_on) = 1
