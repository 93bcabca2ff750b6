-- The platform's fee of mock sales comes down to a quarter of the gross, line by line: of the picked sales.
update store.transaction_line as l
set
    fee = round(l.gross / 4, 2), reported_net = l.gross - round(l.gross / 4, 2),
    load_id = null, load_line = null
from store.transaction as t
where l.transaction_id = t.transaction_id and t.type = 'sale'
    and t.occurred_at >= %(since)s and t.occurred_at < %(start)s and starts_with(t.transaction_id, %(transactions)s)
    and mod(('x' || left(md5(t.transaction_id || '/' || %(interval)s), 7))::bit(28)::int, 1000)
        between %(first)s and %(last)s
    and (l.fee, l.reported_net) is distinct from (round(l.gross / 4, 2), l.gross - round(l.gross / 4, 2));
