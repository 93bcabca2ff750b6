-- What the texts in one column of references mean, each looked up once: a million lines name a few thousand games. In a
-- table of its own, analyzed, since a plan that misjudges how many they are sorts and hashes all lines twice.
-- What stands in the brackets is the look_up.sql of the dataset that the column refers to: for each row of `reference`
-- its ref, what that means, and why a row that says it is held. A text may be noted more than once, with the same key.
create temp table {named} on commit drop as
with reference as (
    select distinct r.ref, r.ref_key
    from {reference_texts} as r
    where r.column_name = %(column_name)s
)

select n.* -- noqa: AM04
from (
    {look_up}
) as n;

analyze {named};
