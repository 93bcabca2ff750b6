-- The games that customers wish for and that come out on the day.
select
    w.customer_id,
    g.title,
    g.release_date
from store.wishlist as w
inner join store.game as g on w.game_id = g.game_id
where
    w.customer_id = any(%(customers)s) and g.release_date = %(day)s
    and (w.added_at is null or w.added_at < %(until)s)
order by w.customer_id, g.title, g.game_id
