-- What the store says of all rows of a table, by group of their keys: how many, and the sum of their checksums.
select
    {key_group} as key_group,
    count(*) as row_count,
    sum({row_sum}) as row_sum
from {table}
group by 1
