-- The titles of games.
select
    g.game_id,
    g.title
from store.game as g
where g.game_id = any(%(keys)s)
