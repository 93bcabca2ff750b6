-- All play there is: what GET /aggregated-data sums up when it is asked for no place.
select
    a.cell_id,
    a.day,
    a.game_id,
    a.platform,
    a.sessions,
    a.timed_sessions,
    a.seconds,
    a.player_ids
from geo.activity as a
