-- Bring the customers into store.customer.
insert into store.customer (
    ref, name, email, locale, time_zone, country_code, marketing_opt_in, created_at, load_id, load_line
)
select
    f.customer_ref, f.name, f.email, f.locale, f.time_zone, f.country, f.marketing_opt_in, f.created_at,
    %(load_id)s, f.load_line
from {rows} as f
where f.outcome = 'inserted';

update store.customer as c
set
    name = f.name, email = f.email, locale = f.locale, time_zone = f.time_zone, country_code = f.country,
    marketing_opt_in = f.marketing_opt_in, created_at = f.created_at, load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
where c.ref = f.customer_ref and f.outcome = 'updated';
