{{ config(materialized='incremental', unique_key='region', incremental_strategy='delete+insert') }}
select
    region,
    sum(amount) as amount
from {{ ref('sale') }}
{% if is_incremental() %}
where region in (select region from {{ ref('sale') }} where sold_on > '2025-01-02')
{% endif %}
group by region
