-- Look each game and publisher that the lines name up once, by id or else by name: a million lines name a few thousand.
-- In tables of their own, analyzed, since a plan that misjudges how many they are sorts and hashes all lines twice.
create temp table named_game on commit drop as
select
    r.game_ref,
    coalesce(by_id.game_id, by_title.game_id) as game_id,
    by_title.games as games_of_title
from (
    select s.game_ref, min(s.game_ref_key) as title_key
    from {stage} as s
    group by s.game_ref
) as r
left join ops.game_by_id as by_id on r.game_ref = by_id.alias_id
left join lateral (
    select v.game_id, v.games
    from ops.game_by_title as v
    where by_id.game_id is null and v.title_key = r.title_key
    -- It has one. So each is looked up; without this, all names would be reckoned.
    limit 1
) as by_title on true;

create temp table named_publisher on commit drop as
select
    r.publisher_ref,
    coalesce(by_id.publisher_id, by_name.publisher_id) as publisher_id,
    by_name.publishers as publishers_of_name
from (
    select s.publisher_ref, min(s.publisher_ref_key) as name_key
    from {stage} as s
    group by s.publisher_ref
) as r
left join ops.publisher_by_id as by_id on r.publisher_ref = by_id.alias_id
left join lateral (
    select v.publisher_id, v.publishers
    from ops.publisher_by_name as v
    where by_id.publisher_id is null and v.name_key = r.name_key
    -- It has one. So each is looked up; without this, all names would be reckoned.
    limit 1
) as by_name on true;

analyze named_game;

analyze named_publisher;
