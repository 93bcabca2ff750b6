-- How many years ago customers' accounts were made, if it was on this day of another year.
select
    c.customer_id,
    %(year)s - extract(year from c.created_at at time zone 'UTC')::integer as years
from store.customer as c
where
    c.customer_id = any(%(customers)s)
    and to_char(c.created_at at time zone 'UTC', 'MM-DD') = any(%(anniversaries)s)
    and c.created_at < %(since)s
