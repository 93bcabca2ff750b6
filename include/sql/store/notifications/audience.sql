-- Whom a rule is for on a day, and who of them wants to hear of its topic. A customer without a date was always there.
select
    c.customer_id,
    %(is_service)s or coalesce(c.marketing_opt_in, false) as opted_in
from store.customer as c
where
    (c.created_at is null or c.created_at < %(until)s)
    and {conditions}
