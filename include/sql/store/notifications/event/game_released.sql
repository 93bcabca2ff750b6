-- Who wishes, at the day's end, for a game that comes out on the day.
select w.customer_id
from store.game as g
inner join store.wishlist as w on g.game_id = w.game_id
where g.release_date = %(day)s and (w.added_at is null or w.added_at < %(until)s)
