-- The games that are asked for: the one that any of its ids stands for, and those of a genre, without case.
select g.game_id
from store.game as g
where
    (%(game)s::text is null or g.game_id = (select s.game_id from store.game_alias as s where s.alias_id = %(game)s))
    and (%(genre)s::text is null or lower(g.genre) = lower(%(genre)s))
