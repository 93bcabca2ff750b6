-- The held rows whose game can be found by now: by source id, or by a title that fits one game only. A row whose title
-- was unknown and fits several by now is tried as well: it is held anew, for that reason.
select h.load_id, h.line_no
from ops.held_row as h
where h.retried_load_id is null and h.ref_dataset = 'game' and (
    exists (select 1 from store.game_alias as a where a.alias_id = h.ref_value)
    or (select count(distinct a.game_id) from store.game_alias as a where a.title_key = h.ref_key) = 1
    or (
        h.reason = 'unknown_game' and exists (select 1 from store.game_alias as a where a.title_key = h.ref_key)
    )
)
