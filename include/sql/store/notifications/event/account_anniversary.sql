-- Whose account was made on this day of another year. `anniversaries` are the month and day; in February two of them.
select o.customer_id
from store.customer as o
where
    to_char(o.created_at at time zone 'UTC', 'MM-DD') = any(%(anniversaries)s)
    and o.created_at < %(since)s
