-- Every customer that an accepted row names is known, if only by reference. Sorted, so that two loads cannot deadlock.
insert into store.customer (ref, load_id, load_line)
select s.customer_ref, %(load_id)s, min(s.load_line)
from {stage} as s
where s.txn_type <> 'payout'
    and not exists (select 1 from store.customer as c where c.ref = s.customer_ref)
group by s.customer_ref
order by s.customer_ref
on conflict (ref) do nothing;
