{{ config(materialized='incremental', unique_key='sale_id', incremental_strategy='merge') }}
select
    sale_id,
    region,
    amount,
    dateadd(day, 30, sold_on) as due_on
from {{ ref('sale') }}
{% if is_incremental() %}
where sold_on >= (select max(dateadd(day, -30, due_on)) from {{ this }})
{% endif %}
