-- Mock customers who bought lately take games off their wishlists: the picked entries.
with active as (
    select distinct t.customer_id
    from store.transaction as t
    where t.occurred_at >= %(since)s and t.occurred_at < %(start)s and starts_with(t.transaction_id, %(transactions)s)
)

delete from store.wishlist as w
using active as a, store.customer as c
where w.customer_id = a.customer_id and c.customer_id = a.customer_id and c.ref ~ %(customers)s
    and mod(('x' || left(md5(c.ref || '/' || w.game_id || '/' || %(interval)s), 7))::bit(28)::int, 1000)
        between %(first)s and %(last)s;
