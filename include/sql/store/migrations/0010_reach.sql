-- What the warehouse gets of notifications: the account of each rule and day, and how many customers have read it. And,
-- in the account of each load, where its file lies since.
--
-- What was delivered is in DynamoDB, which the sync does not read; reads are counted there from time to time.

-- ------------------------------------------------------------------------------------------------ notifications

create table ops.notification_account (
    day date not null check (day between '1970-01-01' and '2100-12-31'),
    rule_id text not null,
    expected bigint not null,
    delivered bigint not null,
    opted_out bigint not null,
    gone bigint not null,
    rule_disabled bigint not null,
    rule_gone bigint not null,
    read bigint not null default 0,
    row_xid xid8 not null default pg_current_xact_id(),
    primary key (day, rule_id),
    -- That they add up is ops.notification_run's to say, which knows whether the day is done.
    constraint notification_account_counts check (
        least(expected, delivered, opted_out, gone, rule_disabled, rule_gone, read) >= 0
    ),
    constraint notification_account_is_trimmed check (rule_id = rtrim(rule_id)),
    constraint notification_account_has_no_null_mark check (rule_id <> '@NULL@')
);
comment on table ops.notification_account is
'The account of a rule on a day, as the warehouse gets it: what expected is more than the others is not done yet';
comment on column ops.notification_account.opted_out is
'Not told, since they had opted out; gone, rule_disabled and rule_gone likewise, each for its own reason';
comment on column ops.notification_account.read is
'How many have marked it as read, when they were counted last: the marks are in DynamoDB';

insert into ops.notification_account (
    day, rule_id, expected, delivered, opted_out, gone, rule_disabled, rule_gone
)
select
    r.day,
    k.key as rule_id,
    (k.value ->> 'expected')::bigint as expected,
    (k.value ->> 'delivered')::bigint as delivered,
    coalesce((k.value -> 'skipped' ->> 'opted_out')::bigint, 0) as opted_out,
    coalesce((k.value -> 'skipped' ->> 'gone')::bigint, 0) as gone,
    coalesce((k.value -> 'skipped' ->> 'rule_disabled')::bigint, 0) as rule_disabled,
    coalesce((k.value -> 'skipped' ->> 'rule_gone')::bigint, 0) as rule_gone
from ops.notification_run as r
cross join lateral jsonb_each(r.rules) as k;

call ops.track_changes('ops.notification_account');

grant select on ops.notification_account to store_writer, store_reader;
grant
insert (day, rule_id, expected, delivered, opted_out, gone, rule_disabled, rule_gone),
update (expected, delivered, opted_out, gone, rule_disabled, rule_gone, read)
on ops.notification_account to store_writer;

-- ------------------------------------------------------------------------------------------------- where a file lies

alter table ops.load_account
add column archive_key text,
drop constraint load_account_has_no_null_mark,
add constraint load_account_has_no_null_mark
check ('@NULL@' not in (kind, dataset, object_key, status, reason, archive_key));
comment on column ops.load_account.archive_key is
'Where the file was moved to, archive/… or rejected/…; empty when it was gone before it was loaded';

update ops.load_account as a
set archive_key = k.archive_key
from ops.load as k
where a.load_id = k.load_id and k.archive_key is not null;

grant insert (archive_key) on ops.load_account to store_writer;
