{{ config(materialized='view', bind=False) }}
select region
from {{ ref('sale_by_day') }}
