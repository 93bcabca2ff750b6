-- Who lives in one of the countries.
select o.customer_id
from store.customer as o
where o.country_code = any(%(countries)s)
