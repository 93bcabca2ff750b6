-- Bring the wishes into store.wishlist.

-- Every customer that an accepted row names is known, if only by reference. Sorted, so that two loads cannot deadlock.
insert into store.customer (ref, load_id, load_line)
select f.customer_ref, %(load_id)s, min(f.load_line)
from {rows} as f
where f.outcome <> 'held'
    and not exists (select 1 from store.customer as c where c.ref = f.customer_ref)
group by f.customer_ref
order by f.customer_ref
on conflict (ref) do nothing;

insert into store.wishlist (customer_id, game_id, added_at, load_id, load_line)
select c.customer_id, f.game_ref, f.added_at, %(load_id)s, f.load_line
from {rows} as f
inner join store.customer as c on f.customer_ref = c.ref
where f.outcome = 'inserted';

update store.wishlist as w
set added_at = f.added_at, load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
inner join store.customer as c on f.customer_ref = c.ref
where w.customer_id = c.customer_id and w.game_id = f.game_ref and f.outcome = 'updated';
