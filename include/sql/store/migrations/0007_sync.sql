-- What the warehouse sync stands on: its tokens, reloads that were asked for, and values that the warehouse can hold.
--
-- Who brings rows into a table with the row_xid that they once had (pg_restore into the same database) asks for a
-- reload of it: nothing else tells the sync of them.

-- ---------------------------------------------------------------------------------------- the source's own memory

create table ops.sync_token (
    token_id bigint generated always as identity primary key,
    token text not null unique,
    made_at timestamptz not null default now()
);
comment on table ops.sync_token is
'What each sync has committed here after its snapshot, before the warehouse committed: a source that does not know the '
'token of the warehouse''s state has lost some of its history, or is another one';

create table ops.sync_reload (
    reload_id bigint generated always as identity primary key,
    table_name text not null,
    reason text not null,
    asked_at timestamptz not null default now(),
    row_xid xid8 not null default pg_current_xact_id()
);
comment on table ops.sync_reload is
'Tables that must be loaded in full, since they were changed in a way that row_xid does not show: '
'by the first sync whose last snapshot did not see the request';

create function ops.ask_reload(tracked regclass, reason text) returns void language sql as $$
    insert into ops.sync_reload (table_name, reason)
    select n.nspname || '.' || c.relname, ask_reload.reason
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.oid = ask_reload.tracked
$$;
comment on function ops.ask_reload is 'Have the next sync load a table in full: for migrations';
revoke execute on function ops.ask_reload from public;

grant select, insert, delete on ops.sync_token to store_writer;
grant select on ops.sync_reload to store_writer;
-- What the warehouse has deleted needs no tombstone.
grant delete on ops.tombstone to store_writer;

-- ------------------------------------------------------------------------------- what the warehouse cannot hold

-- In the sync's files @NULL@ is NULL. Blanks at the end of a text count nothing when Redshift compares it, so that two
-- keys which differ by them alone would be one. Columns whose checks allow neither anyway are not named.
alter table store.publisher
add constraint publisher_id_is_trimmed check (publisher_id = rtrim(publisher_id)),
add constraint publisher_has_no_null_mark check ('@NULL@' not in (publisher_id, name, name_key));

alter table store.publisher_alias
add constraint publisher_alias_id_is_trimmed check (alias_id = rtrim(alias_id)),
add constraint publisher_alias_has_no_null_mark check ('@NULL@' not in (alias_id, publisher_id, name, name_key));

alter table store.game
add constraint game_id_is_trimmed check (game_id = rtrim(game_id)),
add constraint game_has_no_null_mark check ('@NULL@' not in (game_id, title, title_key, genre));

alter table store.game_alias
add constraint game_alias_id_is_trimmed check (alias_id = rtrim(alias_id)),
add constraint game_alias_has_no_null_mark check ('@NULL@' not in (alias_id, game_id, title, title_key, genre));

alter table store.game_release
add constraint game_release_platform_is_trimmed check (platform = rtrim(platform)),
add constraint game_release_has_no_null_mark check ('@NULL@' not in (game_id, platform, publisher_id));

alter table store.customer
add constraint customer_has_no_null_mark check ('@NULL@' not in (ref, name, email, locale, time_zone));

alter table store.wishlist
add constraint wishlist_has_no_null_mark check ('@NULL@' not in (game_id));

alter table store.transaction
add constraint transaction_id_is_trimmed check (transaction_id = rtrim(transaction_id)),
add constraint transaction_has_no_null_mark check ('@NULL@' not in (transaction_id));

alter table store.transaction_line
add constraint transaction_line_has_no_null_mark
check ('@NULL@' not in (transaction_id, game_id, platform, region));

alter table store.play_session
add constraint play_session_id_is_trimmed check (session_id = rtrim(session_id)),
add constraint play_session_has_no_null_mark check ('@NULL@' not in (session_id, game_id, platform)),
-- NaN is greater than any number, and a point may be empty.
add constraint play_session_location_is_a_place check (
    coalesce(
        public.st_x(location::public.geometry) between -180 and 180
        and public.st_y(location::public.geometry) between -90 and 90,
        false
    )
);

alter table store.notification_rule
add constraint notification_rule_id_is_trimmed check (rule_id = rtrim(rule_id)),
add constraint notification_rule_has_no_null_mark
check ('@NULL@' not in (rule_id, topic, subject, body, locale, due_value));
