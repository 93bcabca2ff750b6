-- Who wishes for a game at the day's end.
select w.customer_id
from store.wishlist as w
where w.game_id = %(wishlisted_game)s and (w.added_at is null or w.added_at < %(until)s)
