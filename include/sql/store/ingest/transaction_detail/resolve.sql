-- Find what each staged line names: its transaction by id, its game and publisher by id or by name; hold what names
-- nothing yet or two things.

alter table {stage} add column game_id text, add column publisher_id text;

update {stage} as s
set
    game_id = r.game_id,
    publisher_id = r.publisher_id,
    outcome = r.outcome,
    reason_column = r.reason_column,
    reason = r.reason,
    detail = r.detail,
    ref_dataset = r.ref_dataset,
    ref_value = r.ref_value,
    ref_key = r.ref_key
from (
    select
        p.load_line,
        coalesce(game_by_id.game_id, game_by_title.game_id) as game_id,
        coalesce(publisher_by_id.publisher_id, publisher_by_name.publisher_id) as publisher_id,
        why.outcome, why.reason_column, why.reason, why.detail, why.ref_dataset, why.ref_value, why.ref_key
    from {stage} as p
    left join store.transaction as t on p.transaction_id = t.transaction_id
    left join store.game_alias as game_by_id on p.game_ref = game_by_id.alias_id
    left join (
        select a.title_key, min(a.game_id) as game_id, count(distinct a.game_id) as games
        from store.game_alias as a
        group by a.title_key
    ) as game_by_title on p.game_ref_key = game_by_title.title_key and game_by_id.alias_id is null
    left join store.publisher_alias as publisher_by_id on p.publisher_ref = publisher_by_id.alias_id
    left join store.publisher as publisher_by_name
        on p.publisher_ref_key = publisher_by_name.name_key and publisher_by_id.alias_id is null
    left join lateral (
        select v.* from (
            values
            (
                t.transaction_id is null,
                'held', 'transaction_id', 'unknown_transaction',
                format('no transaction %%s has come yet', p.transaction_id),
                'transaction', p.transaction_id, ''
            ),
            (
                game_by_id.alias_id is null and game_by_title.title_key is null,
                'held', 'game_ref', 'unknown_game',
                format('no game has the id or title %%L yet', p.game_ref),
                'game', p.game_ref, p.game_ref_key
            ),
            (
                game_by_title.games > 1,
                'held', 'game_ref', 'ambiguous_game',
                format('%%s games have the title %%L: only an id can tell them apart', game_by_title.games, p.game_ref),
                'game', p.game_ref, p.game_ref_key
            ),
            (
                publisher_by_id.alias_id is null and publisher_by_name.publisher_id is null,
                'held', 'publisher_ref', 'unknown_publisher',
                format('no publisher has the id or name %%L yet', p.publisher_ref),
                'publisher', p.publisher_ref, p.publisher_ref_key
            )
        ) as v (applies, outcome, reason_column, reason, detail, ref_dataset, ref_value, ref_key)
        where v.applies
        limit 1
    ) as why on true
) as r
where s.load_line = r.load_line;
