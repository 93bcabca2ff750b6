"""What the migrations make, table by table: a column that is dropped, added or changed turns this red."""

from __future__ import annotations

import psycopg
import pytest

OURS = {"ours": ["ops", "store", "geo"]}
LINEAGE = "load_id bigint null, load_line bigint null, row_xid xid8"

# The tables of each schema; the columns in their order, `null` where they may be.
TABLES = {
    "ops.load": (
        "load_id bigint, kind text, dataset text null, object_key text, version_id text, put_at timestamptz, "
        "size_bytes bigint, file_load_id bigint, archive_key text null, header text[] null, status text, "
        "reason text null, attempts integer, claimed_by text null, lease_until timestamptz null, "
        "claimed_at timestamptz, started_at timestamptz null, finished_at timestamptz null, read bigint, "
        "accepted bigint, rejected bigint, held bigint, inserted bigint, updated bigint, unchanged bigint, "
        "superseded bigint, issues bigint, tables_changed text[], raw_erased_at timestamptz null"
    ),
    "ops.load_account": (
        "load_id bigint, kind text, dataset text null, object_key text, file_load_id bigint, put_at timestamptz, "
        "finished_at timestamptz, status text, reason text null, read bigint, accepted bigint, rejected bigint, "
        "held bigint, inserted bigint, updated bigint, unchanged bigint, superseded bigint, issues bigint, "
        "row_xid xid8, archive_key text null"
    ),
    "ops.load_finding": ("load_id bigint, outcome text, column_name text, reason text, findings bigint, row_xid xid8"),
    "ops.rejected_row": (
        "load_id bigint, line_no bigint, column_name text null, reason text, detail text null, raw text null, "
        "retried_load_id bigint null, erased_at timestamptz null"
    ),
    "ops.held_row": (
        "load_id bigint, line_no bigint, column_name text, reason text, detail text null, raw text null, "
        "ref_dataset text, ref_value text null, ref_key text null, retried_load_id bigint null, "
        "erased_at timestamptz null"
    ),
    "ops.issue": (
        "issue_id bigint, load_id bigint, line_no bigint, column_name text null, kind text, detail text null, "
        "erased_at timestamptz null"
    ),
    "ops.alias_correction": (
        "correction_id bigint, dataset text, alias_is text, alias text, alias_key text, stands_for text, "
        "reason text, made_by text, made_at timestamptz, removed_by text null, removed_at timestamptz null"
    ),
    "ops.correction_run": "run text, result jsonb",
    "ops.confirmation": (
        "dataset text, load_id bigint, first_key text, last_key text, keys text[], load_lines bigint[]"
    ),
    "ops.tombstone": "tombstone_id bigint, table_name text, key jsonb, row_xid xid8",
    "ops.sync_token": "token_id bigint, token text, made_at timestamptz",
    "ops.sync_reload": "reload_id bigint, table_name text, reason text, asked_at timestamptz, row_xid xid8",
    "ops.notification_due": (
        "day date, rule_id text, found_at timestamptz, customers integer, opted_out integer, chunks integer, "
        "pruned_at timestamptz null, processed integer null, delivered integer null, skipped jsonb null"
    ),
    "ops.notification_chunk": (
        "chunk_id bigint, day date, rule_id text, chunk_no integer, customers bigint[], state text, "
        "queued_at timestamptz null, worker text null, lease_until timestamptz null, attempts integer, "
        "delivered integer, skipped jsonb, error text null, finished_at timestamptz null"
    ),
    "ops.notification_account": (
        "day date, rule_id text, expected bigint, delivered bigint, opted_out bigint, gone bigint, "
        "rule_disabled bigint, rule_gone bigint, read bigint, row_xid xid8"
    ),
    "ops.notification_run": (
        "day date, run_id text, status text, found integer, queued integer, processed integer, expected bigint, "
        "delivered bigint, skipped jsonb, rules jsonb, started_at timestamptz, finished_at timestamptz null"
    ),
    "store.publisher": f"publisher_id text, name text, name_key text, country_code text null, {LINEAGE}",
    "store.publisher_alias": (
        f"alias_id text, publisher_id text, name text, name_key text, country_code text null, {LINEAGE}"
    ),
    "store.game": (f"game_id text, title text, title_key text, release_date date null, genre text null, {LINEAGE}"),
    "store.game_alias": (
        f"alias_id text, game_id text, title text, title_key text, release_date date null, genre text null, {LINEAGE}"
    ),
    "store.game_release": f"game_id text, platform text, publisher_id text, {LINEAGE}",
    "store.customer": (
        "customer_id bigint, ref text, name text null, email text null, locale text null, "
        "time_zone text null, country_code text null, marketing_opt_in boolean null, "
        f"created_at timestamptz null, {LINEAGE}"
    ),
    "store.wishlist": f"customer_id bigint, game_id text, added_at timestamptz null, {LINEAGE}",
    "store.transaction": (
        "transaction_id text, type text, occurred_at timestamptz, currency text, "
        f"reported_total numeric(18,4), customer_id bigint null, {LINEAGE}"
    ),
    "store.transaction_line": (
        "transaction_id text, line_no integer, game_id text, platform text, region text, "
        f"gross numeric(18,4), fee numeric(18,4), reported_net numeric(18,4), {LINEAGE}"
    ),
    "store.play_session": (
        "session_id text, customer_id bigint, game_id text, platform text, started_at timestamptz, "
        f"duration_s integer null, location geography(Point,4326), {LINEAGE}, cell_id integer null"
    ),
    "store.notification_rule": (
        "rule_id text, topic text, subject text, body text, locale text null, due_kind text, due_value text, "
        f"audience jsonb, enabled boolean, {LINEAGE}, owned_game text null, wishlisted_game text null"
    ),
    "store.notification_text": f"rule_id text, locale text, subject text, body text, {LINEAGE}",
    "geo.area": f"area_id text, name text, kind text, boundary geometry(MultiPolygon,4326), {LINEAGE}",
    "geo.area_cell": "area_id text, cell_id integer, row_xid xid8",
    "geo.cell": "cell_id integer, boundary geometry(Polygon,4326)",
    "geo.activity": (
        "cell_id integer, day date, game_id text, platform text, sessions integer, timed_sessions integer, "
        "seconds bigint, players integer, player_ids bigint[], player_sessions integer[]"
    ),
}
PRIMARY_KEYS = {
    "ops.load": "load_id",
    "ops.rejected_row": "load_id, line_no",
    "ops.held_row": "load_id, line_no",
    "ops.issue": "issue_id",
    "ops.alias_correction": "correction_id",
    "ops.correction_run": "run",
    "ops.confirmation": "dataset, load_id, first_key",
    "ops.tombstone": "tombstone_id",
    "ops.sync_token": "token_id",
    "ops.sync_reload": "reload_id",
    "ops.notification_due": "day, rule_id",
    "ops.notification_chunk": "chunk_id",
    "ops.notification_run": "day",
    "ops.notification_account": "day, rule_id",
    "store.publisher": "publisher_id",
    "store.publisher_alias": "alias_id",
    "store.game": "game_id",
    "store.game_alias": "alias_id",
    "store.game_release": "game_id, platform",
    "store.customer": "customer_id",
    "store.wishlist": "customer_id, game_id",
    "store.transaction": "transaction_id",
    "store.transaction_line": "transaction_id, line_no",
    "store.play_session": "session_id",
    "store.notification_rule": "rule_id",
    "store.notification_text": "rule_id, locale",
    "geo.area": "area_id",
    "geo.area_cell": "area_id, cell_id",
    "geo.cell": "cell_id",
    "ops.load_account": "load_id",
    "ops.load_finding": "load_id, outcome, column_name, reason",
    "geo.activity": "cell_id, day, game_id, platform",
}
FOREIGN_KEYS = {
    "ops.rejected_row (load_id) → ops.load",
    "ops.rejected_row (retried_load_id) → ops.load",
    "ops.held_row (load_id) → ops.load",
    "ops.held_row (retried_load_id) → ops.load",
    "ops.issue (load_id) → ops.load",
    "store.publisher_alias (publisher_id) → store.publisher",
    "store.game_alias (game_id) → store.game",
    "store.game_release (game_id) → store.game",
    "store.game_release (publisher_id) → store.publisher",
    "store.wishlist (customer_id) → store.customer",
    "store.wishlist (game_id) → store.game",
    "store.transaction (customer_id) → store.customer",
    "store.transaction_line (transaction_id) → store.transaction",
    "store.transaction_line (game_id, platform) → store.game_release",
    "store.play_session (customer_id) → store.customer",
    "store.play_session (game_id) → store.game",
    "store.notification_rule (owned_game) → store.game_alias",
    "store.notification_rule (wishlisted_game) → store.game_alias",
    "store.notification_text (rule_id) → store.notification_rule",
    "ops.notification_chunk (day, rule_id) → ops.notification_due",
    "ops.load_account (load_id) → ops.load",
    "ops.load_finding (load_id) → ops.load_account",
    "geo.area_cell (area_id) → geo.area",
    "geo.area_cell (cell_id) → geo.cell",
}
VIEWS = {
    "store.transaction_balance",
    "ops.corrected_publisher",
    "ops.corrected_game",
    "ops.publisher_by_id",
    "ops.publisher_by_name",
    "ops.game_by_id",
    "ops.game_by_title",
}
# What is made from other tables, by triggers on them (test_activity.py has what these do).
DERIVED = {"geo.cell", "geo.activity"}
DERIVING = {
    "geo.area": ["settle_changed_area", "settle_new_area"],
    "store.play_session": ["add_inserted", "add_updated", "take_deleted", "take_updated"],
}
# What has a row_xid for the sync's own sake.
OF_THE_SYNC = {"ops.tombstone", "ops.sync_reload"}
TRACKED = sorted(name for name, columns in TABLES.items() if "row_xid" in columns and name not in OF_THE_SYNC)


def test_each_schema_has_exactly_these_tables_with_these_columns(owner: psycopg.Connection) -> None:
    found = owner.execute(
        """
        select a.attrelid::regclass::text,
               string_agg(concat(a.attname, ' ', format_type(a.atttypid, a.atttypmod),
                                 case when not a.attnotnull then ' null' end), ', ' order by a.attnum)
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relkind in ('r', 'p')
           and c.relnamespace = any(%(ours)s::regnamespace[])
         group by 1
        """,
        OURS,
    ).fetchall()

    assert {name: columns.replace("timestamp with time zone", "timestamptz") for name, columns in found} == TABLES


def test_there_are_exactly_these_views(owner: psycopg.Connection) -> None:
    found = owner.execute(
        """
        select c.oid::regclass::text from pg_class c
         where c.relkind in ('v', 'm') and c.relnamespace = any(%(ours)s::regnamespace[])
        """,
        OURS,
    ).fetchall()

    assert {name for (name,) in found} == VIEWS


def test_nothing_of_ours_is_in_public_but_the_revision(owner: psycopg.Connection) -> None:
    found = owner.execute(
        """
        select c.relname from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
           and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
        """
    ).fetchall()

    assert found == [("alembic_version",)]


def test_each_table_has_its_primary_key(owner: psycopg.Connection) -> None:
    found = owner.execute(
        """
        select p.conrelid::regclass::text,
               (select string_agg(a.attname, ', ' order by k.position)
                  from unnest(p.conkey) with ordinality as k (attnum, position)
                  join pg_attribute a on a.attrelid = p.conrelid and a.attnum = k.attnum)
          from pg_constraint p
         where p.contype = 'p' and p.connamespace = any(%(ours)s::regnamespace[])
        """,
        OURS,
    ).fetchall()

    assert dict(found) == PRIMARY_KEYS


def test_each_foreign_key_is_led_by_an_index(owner: psycopg.Connection) -> None:
    # A partial index serves a foreign key when it leaves out only its nulls.
    found = owner.execute(
        """
        with reference as (
            select f.conrelid, f.confrelid, f.conkey,
                   (select string_agg(a.attname, ', ' order by k.position)
                      from unnest(f.conkey) with ordinality as k (attnum, position)
                      join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum) as columns
              from pg_constraint f
             where f.contype = 'f' and f.connamespace = any(%(ours)s::regnamespace[])
        )
        select format('%%s (%%s) → %%s', r.conrelid::regclass, r.columns, r.confrelid::regclass),
               exists (select from pg_index i
                        where i.indrelid = r.conrelid and i.indisvalid
                          and array(select k from unnest(i.indkey) with ordinality as k (k, position)
                                     where position <= cardinality(r.conkey) order by k)
                              = array(select k from unnest(r.conkey) k order by k)
                          and (i.indpred is null
                               or pg_get_expr(i.indpred, i.indrelid)
                                  = format('(%%s IS NOT NULL)', r.columns)))
          from reference r
        """,
        OURS,
    ).fetchall()

    assert len(found) == len(FOREIGN_KEYS)
    assert {name for name, _ in found} == FOREIGN_KEYS
    assert [name for name, indexed in found if not indexed] == []


def test_every_table_view_and_schema_says_what_it_is_for(owner: psycopg.Connection) -> None:
    silent = owner.execute(
        """
        select c.oid::regclass::text from pg_class c
         where c.relkind in ('r', 'p', 'v', 'm') and obj_description(c.oid, 'pg_class') is null
           and c.relnamespace = any(%(ours)s::regnamespace[])
        union all
        select n.nspname from pg_namespace n
         where n.oid = any(%(ours)s::regnamespace[]) and obj_description(n.oid, 'pg_namespace') is null
        """,
        OURS,
    ).fetchall()

    assert silent == []


def test_all_of_store_and_geo_is_tracked_but_what_is_derived() -> None:
    assert len(TRACKED) == 17
    assert sorted(name for name in TABLES if name.startswith(("store.", "geo.")) and name not in DERIVED) == [
        name for name in TRACKED if not name.startswith("ops.")
    ]


@pytest.mark.parametrize("table", TRACKED)
def test_row_xid_defaults_to_the_transaction_and_is_indexed(owner: psycopg.Connection, table: str) -> None:
    default = owner.execute(
        """
        select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
          join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
         where d.adrelid = %s::regclass and a.attname = 'row_xid'
        """,
        [table],
    ).fetchall()
    indexes = owner.execute(
        """
        select pg_get_indexdef(i.indexrelid) from pg_index i
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
         where i.indrelid = %s::regclass and a.attname = 'row_xid'
        """,
        [table],
    ).fetchall()

    name = table.partition(".")[2]
    assert default == [("pg_current_xact_id()",)]
    assert indexes == [(f"CREATE INDEX {name}_row_xid ON {table} USING btree (row_xid)",)]


@pytest.mark.parametrize("table", TRACKED)
def test_the_triggers_of_the_sync_always_fire(owner: psycopg.Connection, table: str) -> None:
    key = PRIMARY_KEYS[table]
    arguments = ", ".join(f"'{column}'" for column in key.split(", "))
    found = owner.execute(
        """
        select t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) from pg_trigger t
         where t.tgrelid = %s::regclass and not t.tgisinternal order by 1
        """,
        [table],
    ).fetchall()

    deriving = DERIVING.get(table, [])
    assert [(name, enabled) for name, enabled, _ in found if name in deriving] == [(name, "A") for name in deriving]
    assert [trigger for trigger in found if trigger[0] not in deriving] == [
        (
            "leave_tombstone_of_key",
            "A",
            f"CREATE TRIGGER leave_tombstone_of_key AFTER UPDATE OF {key} ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION ops.leave_tombstone({arguments})",
        ),
        (
            "leave_tombstone_of_row",
            "A",
            f"CREATE TRIGGER leave_tombstone_of_row AFTER DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION ops.leave_tombstone({arguments})",
        ),
        (
            "refuse_truncate",
            "A",
            f"CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_truncate()",
        ),
        (
            "stamp_row",
            "A",
            f"CREATE TRIGGER stamp_row BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION ops.stamp_row()",
        ),
    ]


def test_the_natural_order_puts_nine_before_ten(owner: psycopg.Connection) -> None:
    ordered = owner.execute(
        "select id from unnest(array['P-10', 'P-9', 'P-100']) id order by id collate store.natural_order"
    ).fetchall()

    assert ordered == [("P-9",), ("P-10",), ("P-100",)]
