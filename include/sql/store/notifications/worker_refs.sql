-- The refs of customers who are still there, by which their inboxes are found.
-- Parameters: customers.
select
    c.customer_id,
    c.ref
from store.customer as c
where c.customer_id = any(%(customers)s::bigint []);
