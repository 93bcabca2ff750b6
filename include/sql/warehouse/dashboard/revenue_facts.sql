-- The lines of what was sold and refunded, by the figure of revenue.sql that each belongs to.
-- Parameters: those of revenue.sql.
select
    case
        when t.currency = %(currency)s
            then to_char(date_trunc(cast(%(unit)s as varchar(8)), t.occurred_at at time zone 'UTC'), 'YYYY-MM-DD')
        else t.currency
    end as row_key,
    t.type as part,
    l.load_id,
    l.load_line,
    1 as lines,
    l.gross as value
from store.transaction_line as l
inner join store.transaction as t on l.transaction_id = t.transaction_id
where t.type in ('sale', 'refund')
  and cast(t.occurred_at at time zone 'UTC' as date) between %(first_day)s and %(last_day)s
