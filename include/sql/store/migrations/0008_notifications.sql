-- Notifications: rules that say whom they are for, their texts in other languages, and what a day's run has found,
-- queued and delivered.
--
-- No file could bring a rule before: one that somebody has entered by hand must fit the checks, else the migration
-- stops here, and nothing has changed.

-- ----------------------------------------------------------------------------------------------------- rules

alter table store.notification_rule
add column owned_game text references store.game_alias,
add column wishlisted_game text references store.game_alias,
add constraint notification_rule_topic_check check (topic in ('marketing', 'service')),
add constraint notification_rule_due_value_check check (
    case due_kind
        -- Whether there is such a day, the file's load has checked; a day that never comes is never due.
        when 'date' then due_value ~ '^\d{4}-\d\d-\d\d$'
        when 'weekday' then due_value in (
            'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'
        )
        when 'month_day' then due_value ~ '^([1-9]|[12][0-9]|3[01])$'
        when 'event' then due_value in (
            'game_released', 'refund_processed', 'account_anniversary', 'publisher_paid'
        )
        else true
    end
),
-- A key that is misspelt would let everybody in.
add constraint notification_rule_audience_check check (
    jsonb_typeof(audience) = 'object'
    and audience - array['countries', 'platforms'] = '{}'
    and not jsonb_path_exists(
        audience,
        'strict $.* ? (@.type() != "array" || @.size() == 0 || exists(@[*] ? (@.type() != "string")))',
        '{}', true
    )
);
create index notification_rule_owned_game on store.notification_rule (owned_game);
create index notification_rule_wishlisted_game on store.notification_rule (wishlisted_game);

comment on table store.notification_rule is
'What to say (subject, body), to whom (audience, owned_game, wishlisted_game), and when (due)';
comment on column store.notification_rule.topic is
'marketing: only to customers who have opted in; service: to all';
comment on column store.notification_rule.locale is
'The language of subject and body; other languages are in store.notification_text';
comment on column store.notification_rule.due_value is
'Of a date 2026-12-24; of a weekday its English name; of a month_day 1 to 31, in shorter months their last day; '
'of an event its name';
comment on column store.notification_rule.audience is
'{"countries": [ISO 3166-1 alpha-2], "platforms": [played or bought on]}; what is not there does not matter';
comment on column store.notification_rule.owned_game is 'Only to customers who have bought this game';
comment on column store.notification_rule.wishlisted_game is 'Only to customers who wish for this game';

create table store.notification_text (
    rule_id text not null references store.notification_rule on update cascade on delete cascade,
    locale text not null,
    subject text not null,
    body text not null,
    load_id bigint,
    load_line bigint,
    row_xid xid8 not null default pg_current_xact_id(),
    primary key (rule_id, locale),
    constraint notification_text_locale_is_trimmed check (locale = rtrim(locale)),
    constraint notification_text_has_no_null_mark check ('@NULL@' not in (rule_id, locale, subject, body))
);
comment on table store.notification_text is
'What a rule says in another language: a customer gets their locale''s text (de-AT), else their language''s (de), '
'else the rule''s own';
call ops.track_changes('store.notification_text');

grant select on store.notification_text to store_writer, store_reader;
grant
insert (owned_game, wishlisted_game), update (owned_game, wishlisted_game)
on store.notification_rule to store_writer;
grant
insert (rule_id, locale, subject, body, load_id, load_line),
update (rule_id, locale, subject, body, load_id, load_line),
delete on store.notification_text to store_writer;

-- ---------------------------------------------------------------------------------------------- what has been found

create function ops.total(counts jsonb) returns bigint language sql immutable strict return
(
    select coalesce(sum(c.value::bigint), 0)
    from jsonb_each_text(counts) as c
);
comment on function ops.total is 'The sum of the counts in an object, such as {"opted_out": 2, "gone": 1}';

create table ops.notification_due (
    day date not null,
    rule_id text not null,
    found_at timestamptz not null default now(),
    customers integer not null default 0,
    opted_out integer not null default 0,
    chunks integer not null default 0,
    pruned_at timestamptz,
    processed integer,
    delivered integer,
    skipped jsonb,
    primary key (day, rule_id),
    constraint notification_due_counts_its_customers check (
        opted_out between 0 and customers and chunks between 0 and customers - opted_out
    ),
    constraint notification_due_is_whole_or_pruned check (
        num_nulls(pruned_at, processed, delivered, skipped) in (0, 4)
    )
);
comment on table ops.notification_due is
'A rule that was due on a day, and how many it was for: found once, and never computed anew';
comment on column ops.notification_due.customers is
'All customers whom the rule was for when it was found, those who had opted out included';
comment on column ops.notification_due.pruned_at is
'Since when its chunks are not kept any more: processed, delivered and skipped say what had become of them';

create table ops.notification_chunk (
    chunk_id bigint generated always as identity primary key,
    day date not null,
    rule_id text not null,
    chunk_no integer not null check (chunk_no > 0),
    customers bigint [] not null check (cardinality(customers) between 1 and 1000),
    state text not null default 'queued' check (state in ('queued', 'done', 'failed')),
    queued_at timestamptz,
    worker text,
    lease_until timestamptz,
    attempts integer not null default 0,
    delivered integer not null default 0,
    skipped jsonb not null default '{}',
    error text,
    finished_at timestamptz,
    unique (day, rule_id, chunk_no),
    foreign key (day, rule_id) references ops.notification_due,
    constraint notification_chunk_is_accounted_for check (
        state <> 'done' or delivered + ops.total(skipped) = cardinality(customers)
    ),
    constraint notification_chunk_fails_for_a_reason check (state <> 'failed' or error is not null)
);
create index notification_chunk_open on ops.notification_chunk (day, rule_id) where state <> 'done';
comment on table ops.notification_chunk is
'Some of the customers for whom a rule is on a day: what one message of the queue stands for';
comment on column ops.notification_chunk.customers is
'Who is to be notified: frozen when it was found, without those who had opted out';
comment on column ops.notification_chunk.queued_at is 'When its message was last sent; null until then';
comment on column ops.notification_chunk.lease_until is
'Until when it is the worker''s: somebody else takes it only afterwards';
comment on column ops.notification_chunk.skipped is
'How many were not notified after all, by the reason, such as {"gone": 1}';

create table ops.notification_run (
    day date primary key,
    run_id text not null,
    status text not null default 'running' check (status in ('running', 'done', 'failed')),
    found integer not null default 0,
    queued integer not null default 0,
    processed integer not null default 0,
    expected bigint not null default 0,
    delivered bigint not null default 0,
    skipped jsonb not null default '{}',
    rules jsonb not null default '{}',
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint notification_run_chunks_are_accounted_for check (
        status <> 'done' or (found = queued and queued = processed)
    ),
    constraint notification_run_customers_are_accounted_for check (
        status <> 'done' or expected = delivered + ops.total(skipped)
    )
);
comment on table ops.notification_run is
'The account of a day''s notifications, by its last run: '
'done only if found = queued = processed (chunks) and expected = delivered + skipped (customers)';
comment on column ops.notification_run.rules is 'The same account of each rule, by its id';

grant select, insert, update, delete on ops.notification_due, ops.notification_chunk to store_writer;
grant select, insert, update on ops.notification_run to store_writer;
grant usage on sequence ops.notification_chunk_chunk_id_seq to store_writer;
