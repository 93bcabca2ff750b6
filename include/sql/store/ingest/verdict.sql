-- Give each staged row its outcome. What stands in the brackets is the dataset's rows.sql: for each staged row the
-- values to store, why it is refused, whose report stands in the store, and the row's effect if nothing forbids it.
-- The rows are sorted by their key, so that those to insert are.
create temp table {rows} on commit drop as
select
    -- First among the columns: most statements ask it of all rows, and need not take apart those that they leave out.
    case
        when (f.refusal).outcome is not null then (f.refusal).outcome
        -- Of the rows of one key that can be applied, the last line of the file wins.
        when row_number() over (
            partition by {key}, (f.refusal).outcome is null order by f.load_line desc
        ) > 1 then 'superseded'
        when ops.is_later(f.standing_load_id, f.standing_load_line, f.load_line, %(later_loads)s, %(same_file)s)
            then 'superseded'
        else f.effect
    end as outcome,
    f.* -- noqa: AM04
from (
    select r.* -- noqa: AM04
    from (
        {found}
    ) as r
    -- They are reckoned before they are sorted: what is sorted is the row, not all that it was reckoned from.
    offset 0
) as f
order by {key};
