-- Bring the games into store.game_alias, and settle which game each source id stands for.
--
-- That looks only at what the source ids last reported, so it does not depend on the order in which files are loaded.

create temp table affected on commit drop as
select f.title_key from {rows} as f
-- A row without a date that changes nothing is looked at for the issue that it may be.
where f.outcome in ('inserted', 'updated') or (f.outcome = 'unchanged' and f.release_date is null)
union
select f.standing_title_key from {rows} as f
where f.outcome = 'updated';

insert into store.game_alias (alias_id, game_id, title, title_key, release_date, genre, load_id, load_line)
select f.game_id, f.game_id, f.title, f.title_key, f.release_date, f.genre, %(load_id)s, f.load_line
from {rows} as f
where f.outcome = 'inserted';

update store.game_alias as a
set
    title = f.title, title_key = f.title_key, release_date = f.release_date, genre = f.genre,
    load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
where a.alias_id = f.game_id and f.outcome = 'updated';

{settle}

insert into {issues} (line_no, column_name, kind, detail)
select
    f.load_line, 'release_date', 'ambiguous_title',
    format(
        '%%s has no release date, and other ids of the title %%L have different ones: kept apart', f.game_id, f.title
    )
from {rows} as f
inner join settled as t on f.game_id = t.alias_id
where f.outcome in ('inserted', 'updated', 'unchanged') and t.which_game_is_unknown;
