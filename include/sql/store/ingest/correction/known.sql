-- What is known of one text: the source id that it is, and the source ids that have it as their name, each with what it
-- stands for. {aliases}: store.publisher_alias or store.game_alias, {id} and {name_key}: its columns.
select
    a.alias_id,
    a.{id} as stands_for,
    a.alias_id = %(text)s as is_id
from {aliases} as a
where a.alias_id = %(text)s or a.{name_key} = %(key)s
order by a.alias_id collate store.natural_order;
