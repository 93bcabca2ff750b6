-- Of the staged rows of one key that can be applied, the last line of the file wins.
update {stage} as s
set outcome = 'superseded'
from (
    select p.load_line, row_number() over (partition by {key} order by p.load_line desc) as place
    from {stage} as p
    where p.outcome is null
) as ranked
where s.load_line = ranked.load_line and ranked.place > 1;
