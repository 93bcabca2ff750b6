-- Customers of mock data who bought lately settle their language and whether they want mail: the picked ones, once.
--
-- What a customer settles for depends on the customer alone, so that no interval undoes another's change.
with active as (
    select distinct t.customer_id
    from store.transaction as t
    where t.occurred_at >= %(since)s and t.occurred_at < %(start)s and starts_with(t.transaction_id, %(transactions)s)
),

picked as (
    select
        c.customer_id,
        (array['de_DE', 'en_GB', 'en_US', 'es_ES', 'fr_FR', 'ja_JP', 'pl_PL', 'pt_BR'])[
            1 + ('x' || left(md5(c.ref || '/locale'), 7))::bit(3)::int
        ] as locale,
        ('x' || left(md5(c.ref || '/mail'), 7))::bit(1)::int = 1 as marketing_opt_in
    from store.customer as c
    inner join active as a on c.customer_id = a.customer_id
    where c.ref ~ %(customers)s
        and mod(('x' || left(md5(c.ref || '/' || %(interval)s), 7))::bit(28)::int, 1000)
            between %(first)s and %(last)s
)

update store.customer as c
set locale = p.locale, marketing_opt_in = p.marketing_opt_in, load_id = null, load_line = null
from picked as p
where c.customer_id = p.customer_id
    and (c.locale, c.marketing_opt_in) is distinct from (p.locale, p.marketing_opt_in);
