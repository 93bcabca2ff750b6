"""geo.activity is what a count of the sessions would give, whoever changes them and however."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from local.supervisor import wait_until

Connect = Callable[[str], psycopg.Connection]

# Counted from the sessions, by other means than the triggers': each player's sessions are looked up.
COUNTED = """
select g.cell_id, g.day, g.game_id, g.platform, g.sessions, g.timed_sessions, g.seconds, cardinality(g.player_ids)
       as players, g.player_ids, array(select (select count(*)::integer from session s
              where (s.cell_id, s.day, s.game_id, s.platform, s.customer_id)
                  = (g.cell_id, g.day, g.game_id, g.platform, id)) from unnest(g.player_ids) id) as player_sessions
  from (select cell_id, day, game_id, platform, count(*)::integer as sessions,
               count(duration_s)::integer as timed_sessions, coalesce(sum(duration_s), 0) as seconds,
               array_agg(distinct customer_id order by customer_id) as player_ids
          from session
         group by cell_id, day, game_id, platform) g
"""
SESSION = """
with session as materialized (
    select geo.cell_at(location::geometry) as cell_id, (started_at at time zone 'UTC')::date as day, game_id, platform,
           customer_id, duration_s
      from store.play_session)
"""
KEPT = """
select cell_id, day, game_id, platform, sessions, timed_sessions, seconds, players, player_ids, player_sessions
  from geo.activity
"""
INSERT = """
insert into store.play_session (session_id, customer_id, game_id, platform, started_at, duration_s, location)
values (%s, %s, %s, %s, %s, %s, st_setsrid(st_point(%s, %s), 4326)::geography)
"""
BASE = """
insert into store.game (game_id, title, title_key)
select 'G-' || n, 'Game ' || n, 'game ' || n from generate_series(1, 4) n;
insert into store.customer (customer_id, ref) overriding system value
select 1000 + n, 'CUST-' || n from generate_series(1, 9) n;
"""
BERLIN = (13.4, 52.5)


@pytest.fixture
def committed(fresh_store: Any) -> Iterator[Connect]:
    """Opens connections to a store of the test's own, in which there are games and customers."""
    opened: list[psycopg.Connection] = []

    def connect(role: str = "store_writer") -> psycopg.Connection:
        opened.append(psycopg.connect(fresh_store.url(role)))
        return opened[-1]

    with connect("store_owner") as owner:
        owner.execute(BASE)
    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def writing(connect: Connect) -> psycopg.Connection:
    """A writer, in a transaction in which there are games and customers."""
    writer = connect("store_writer")
    writer.execute(BASE)
    return writer


def play(connection: psycopg.Connection, session: str, customer: int = 1001, **more: Any) -> None:
    """Add a session: of G-1 on PC in Berlin on the fifth of January, if not said otherwise."""
    longitude, latitude = more.get("at", BERLIN)
    connection.execute(
        INSERT,
        (
            session,
            customer,
            more.get("game", "G-1"),
            "PC",
            more.get("started", "2025-01-05T12:00:00Z"),
            more.get("seconds", 60),
            longitude,
            latitude,
        ),
    )


def sums(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        """
        select game_id, day::text, sessions, timed_sessions, seconds, players, player_ids, player_sessions
          from geo.activity order by cell_id, day, game_id, platform
        """
    ).fetchall()


def differences(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Return the groups that are not what the sessions give: as kept, and as counted."""
    return connection.execute(
        f"{SESSION}, counted as ({COUNTED}), kept as ({KEPT}) "
        "(select 'kept', kept.* from kept except all select 'kept', counted.* from counted) union all "
        "(select 'counted', counted.* from counted except all select 'counted', kept.* from kept)"
    ).fetchall()


def homeless(connection: psycopg.Connection) -> int:
    """Return how many cells with activity are missing from geo.cell, or have another boundary than theirs."""
    (number,) = connection.execute(
        """
        select count(*) from (select distinct cell_id from geo.activity) a
          left join geo.cell c on c.cell_id = a.cell_id
         where c.boundary is distinct from geo.cell_boundary(a.cell_id)
        """
    ).fetchone()
    return number


def test_sessions_of_one_group_add_up_and_a_player_counts_once(writing: psycopg.Connection) -> None:
    play(writing, "S-1")
    play(writing, "S-2", customer=1002, seconds=None)
    play(writing, "S-3", seconds=40)

    # Two of three sessions have a duration: the average is 100 / 2.
    assert sums(writing) == [("G-1", "2025-01-05", 3, 2, 100, 2, [1001, 1002], [2, 1])]


def test_the_day_is_that_of_utc_whatever_the_zone_of_the_writer(writing: psycopg.Connection) -> None:
    writing.execute("set timezone = 'Asia/Tokyo'")
    play(writing, "S-1", started="2025-01-05T23:59:59.999999Z")
    play(writing, "S-2", started="2025-01-06T00:00:00Z")

    assert [day for _, day, *_ in sums(writing)] == ["2025-01-05", "2025-01-06"]


def test_a_session_that_goes_takes_its_player_only_if_it_was_the_last(writing: psycopg.Connection) -> None:
    play(writing, "S-1")
    play(writing, "S-2")
    play(writing, "S-3", customer=1002)

    writing.execute("delete from store.play_session where session_id = 'S-1'")
    assert sums(writing) == [("G-1", "2025-01-05", 2, 2, 120, 2, [1001, 1002], [1, 1])]
    writing.execute("delete from store.play_session where session_id = 'S-2'")
    assert sums(writing) == [("G-1", "2025-01-05", 1, 1, 60, 1, [1002], [1])]
    writing.execute("delete from store.play_session where session_id = 'S-3'")
    assert sums(writing) == []


def test_a_merged_game_takes_its_sessions_along(writing: psycopg.Connection) -> None:
    play(writing, "S-1")
    play(writing, "S-2", game="G-2")
    play(writing, "S-3", game="G-2", customer=1002)

    writing.execute("update store.play_session set game_id = 'G-1' where game_id = 'G-2'")

    assert sums(writing) == [("G-1", "2025-01-05", 3, 3, 180, 2, [1001, 1002], [2, 1])]


def test_a_customer_who_is_forgotten_leaves_no_trace(writing: psycopg.Connection) -> None:
    for number in range(6):
        play(writing, f"S-{number}", customer=1001 + number % 2, game=f"G-{number // 2 + 1}")

    writing.execute("delete from store.play_session where customer_id = 1001")

    assert [group[5:] for group in sums(writing)] == [(1, [1002], [1])] * 3
    assert differences(writing) == []


def test_what_a_savepoint_takes_back_is_not_counted(writing: psycopg.Connection) -> None:
    play(writing, "S-1")
    with writing.transaction(force_rollback=True):
        play(writing, "S-2")
        writing.execute("delete from store.play_session where session_id = 'S-1'")

    assert sums(writing) == [("G-1", "2025-01-05", 1, 1, 60, 1, [1001], [1])]


def test_an_upsert_is_counted_as_what_it_does(writing: psycopg.Connection) -> None:
    play(writing, "S-1")
    writing.execute(
        INSERT.replace("values (%s", "values ('S-2', 1002, 'G-1', 'PC', '2025-01-05Z', 1, "
                       "'SRID=4326;POINT(13.4 52.5)'), (%s")
        + "on conflict (session_id) do update set duration_s = excluded.duration_s",
        ("S-1", 1001, "G-1", "PC", "2025-01-05T12:00:00Z", 600, *BERLIN),
    )  # fmt: skip

    assert sums(writing) == [("G-1", "2025-01-05", 2, 2, 601, 2, [1001, 1002], [1, 1])]


def test_sessions_are_counted_under_replica_as_well(connect: Connect) -> None:
    superuser = connect("postgres")
    superuser.execute(BASE)
    superuser.execute("set session_replication_role = replica")
    play(superuser, "S-1")
    play(superuser, "S-2", game="G-2")
    superuser.execute("update store.play_session set game_id = 'G-3'")
    superuser.execute("delete from store.play_session where session_id = 'S-1'")

    assert sums(superuser) == [("G-3", "2025-01-05", 1, 1, 60, 1, [1001], [1])]


def test_a_transaction_knows_whether_it_has_changed_activity(writing: psycopg.Connection) -> None:
    def changed() -> bool:
        (value,) = writing.execute("select current_setting('changed.geo.activity', true) = 'yes'").fetchone()
        return bool(value)

    play_nothing = "update store.play_session set duration_s = 1 where session_id = 'none'"
    writing.execute(play_nothing)
    writing.execute("delete from store.play_session where session_id = 'none'")
    assert not changed()
    with writing.transaction(force_rollback=True):
        play(writing, "S-1")
        assert changed()
    assert not changed()
    play(writing, "S-1")
    writing.execute(play_nothing)
    assert changed()


class Players:
    """Makes up sessions in a few cells, days, games and platforms, and statements that change them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nobody guards anything with it
        self.made = 0

    def row(self) -> tuple[Any, ...]:
        """Return the values of a new session."""
        self.made += 1
        pick = self.random.choice
        return (
            f"S-{self.made}",
            1000 + self.random.randint(1, 9),
            f"G-{self.random.randint(1, 4)}",
            pick(("PC", "iOS")),
            f"2025-01-{self.random.randint(1, 3):02d}T{self.random.randint(0, 23):02d}:30:00Z",
            pick((None, 0, 60, 2_147_483_647)),
            pick((13.4, 13.7, 180, -180)),
            pick((52.5, 52.5, 90)),
        )

    def change(self, connection: psycopg.Connection) -> None:
        """Insert, update or delete some sessions in one statement."""
        some = "mod(hashtext(session_id || %s), %s) = 0"
        salt, share = str(self.random.random()), self.random.randint(2, 9)
        kind = self.random.choice(("insert", "insert", "game", "player", "time", "place", "key", "delete", "forget"))
        match kind:
            case "insert":
                rows = [self.row() for _ in range(self.random.randint(1, 60))]
                values = ", ".join([INSERT.partition("values")[2].strip()] * len(rows))
                connection.execute(
                    INSERT.partition("values")[0] + "values " + values, [value for row in rows for value in row]
                )
            case "game":
                connection.execute("update store.play_session set game_id = 'G-1' where game_id = %s", [self.row()[2]])
            case "player":
                customer = self.row()[1]
                connection.execute(
                    f"update store.play_session set customer_id = %s where {some}", (customer, salt, share)
                )
            case "time":
                row = self.row()
                connection.execute(
                    f"update store.play_session set started_at = %s, duration_s = %s where {some}",
                    (row[4], row[5], salt, share),
                )
            case "place":
                connection.execute(
                    "update store.play_session set location = st_setsrid(st_point(%s, %s), 4326)::geography, "
                    f"platform = 'PC' where {some}",
                    (*self.row()[6:], salt, share),
                )
            case "key":
                connection.execute(
                    f"update store.play_session set session_id = session_id || '-' where {some}", (salt, share)
                )
            case "delete":
                connection.execute(f"delete from store.play_session where {some}", (salt, share))
            case "forget":
                connection.execute("delete from store.play_session where customer_id = %s", [self.row()[1]])


@pytest.mark.parametrize("seed", range(4))
def test_after_whatever_changes_it_is_what_a_rebuild_gives(committed: Connect, seed: int) -> None:
    writer, players = committed(), Players(seed)
    for number in range(60):
        if number % 7 == 3:
            with writer.transaction(force_rollback=True):
                players.change(writer)
        players.change(writer)
        if number % 3 == 0:
            writer.commit()
        assert differences(writer) == []
    assert homeless(writer) == 0
    writer.commit()

    (groups, *changed) = writer.execute("select * from geo.rebuild_activity()").fetchone()

    assert groups == writer.execute("select count(*) from geo.activity").fetchone()[0] > 20
    assert changed == [0, 0, 0]


def test_a_rebuild_mends_whatever_is_wrong(committed: Connect) -> None:
    writer, players = committed(), Players(99)
    for _ in range(20):
        players.change(writer)
    writer.commit()
    owner = committed("store_owner")
    (cells,) = owner.execute("select count(*) from geo.cell").fetchone()
    owner.execute("delete from geo.cell")
    removed = owner.execute("delete from geo.activity where game_id = 'G-1'").rowcount
    wrong = owner.execute("update geo.activity set player_sessions[1] = 77 where game_id = 'G-2'").rowcount
    owner.execute("update geo.activity set game_id = 'G-none' where game_id = 'G-3' and platform = 'PC'")
    (stray,) = owner.execute("select count(*) from geo.activity where game_id = 'G-none'").fetchone()
    owner.commit()
    assert min(cells, removed, wrong, stray) > 0

    (_, *changed) = writer.execute("select * from geo.rebuild_activity()").fetchone()

    assert changed == [removed + stray, wrong, stray]
    assert differences(writer) == []
    assert homeless(writer) == 0


def test_a_rebuild_is_refused_where_it_might_not_see_what_others_have_committed(committed: Connect) -> None:
    writer = committed()
    writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

    with pytest.raises(errors.RaiseException, match="run it under READ COMMITTED"):
        writer.execute("select geo.rebuild_activity()")


def test_sums_merge_by_day_game_and_area_and_players_by_their_ids(committed: Connect) -> None:
    writer = committed("store_owner")
    players = Players(6)
    rows = [players.row() for _ in range(600)]
    with writer.cursor() as cursor:
        cursor.executemany(INSERT, rows)
    writer.execute(
        """
        insert into geo.area (area_id, name, kind, boundary)
        values ('A-1', 'East', 'city', st_multi(st_makeenvelope(13.6, 52, 14, 53, 4326))),
               ('A-2', 'Both', 'city', st_multi(st_makeenvelope(13, 52, 14, 53, 4326))),
               ('A-3', 'Nobody', 'city', st_multi(st_makeenvelope(0, 0, 1, 1, 4326)))
        """
    )
    cases = {
        "day": ("a.day", "geo.activity a", "(s.started_at at time zone 'UTC')::date", "store.play_session s"),
        "game": ("a.game_id", "geo.activity a", "s.game_id", "store.play_session s"),
        "area": (
            "r.area_id",
            "geo.area r join geo.cell c on st_intersects(c.boundary, r.boundary) join geo.activity a using (cell_id)",
            "r.area_id",
            "geo.area r join store.play_session s"
            " on st_intersects(geo.cell_boundary(geo.cell_at(s.location::geometry)), r.boundary)",
        ),
    }
    number = {}
    for name, (kept_by, kept, counted_by, counted) in cases.items():
        sums_merged = writer.execute(
            f"""
            select {kept_by}, sum(a.sessions), sum(a.seconds), sum(a.seconds) / nullif(sum(a.timed_sessions), 0)
              from {kept} group by 1 order by 1
            """
        ).fetchall()
        players_merged = writer.execute(
            f"""
            select {kept_by}, count(distinct p.id)
              from {kept} cross join lateral unnest(a.player_ids) as p (id) group by 1 order by 1
            """
        ).fetchall()
        direct = writer.execute(
            f"""
            select {counted_by}, count(*), coalesce(sum(s.duration_s), 0), avg(s.duration_s),
                   count(distinct s.customer_id)
              from {counted}
             group by 1 order by 1
            """
        ).fetchall()
        found = [(*row[:4], players) for row, (_, players) in zip(sums_merged, players_merged, strict=True)]
        assert found == direct, name
        number[name] = len(direct)
    assert number == {"day": 3, "game": 4, "area": 2}


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start `work` beside the test; the list then has its result, or what it raised."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except psycopg.Error as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def waits(watcher: psycopg.Connection, waiting: psycopg.Connection) -> bool:
    (blockers,) = watcher.execute("select cardinality(pg_blocking_pids(%s))", [waiting.info.backend_pid]).fetchone()
    return blockers > 0


ADD = ("S-9", 1002)
CASES = {
    "both add to a group": (["S-1"], lambda one: play(one, "S-2"), lambda two: play(two, *ADD)),
    "both begin a group": ([], lambda one: play(one, "S-2"), lambda two: play(two, *ADD)),
    "one empties the group that the other adds to": (
        ["S-1"],
        lambda one: one.execute("delete from store.play_session where session_id = 'S-1'"),
        lambda two: play(two, *ADD),
    ),
    "one adds to the group that the other empties": (
        ["S-1"],
        lambda one: play(one, *ADD),
        lambda two: two.execute("delete from store.play_session where session_id = 'S-1'"),
    ),
    "both take from a group": (
        ["S-1", "S-2", "S-3"],
        lambda one: one.execute("delete from store.play_session where session_id = 'S-1'"),
        lambda two: two.execute("delete from store.play_session where session_id = 'S-2'"),
    ),
    "both together empty a group": (
        ["S-1", "S-2"],
        lambda one: one.execute("delete from store.play_session where session_id = 'S-1'"),
        lambda two: two.execute("delete from store.play_session where session_id = 'S-2'"),
    ),
    "one merges a game into the one that the other plays": (
        ["S-1"],
        lambda one: one.execute("update store.play_session set game_id = 'G-2'"),
        lambda two: play(two, "S-9", game="G-2"),
    ),
}


@pytest.mark.parametrize("ends", ["commit", "rollback"])
@pytest.mark.parametrize("case", CASES)
def test_two_writers_of_a_group_do_not_lose_each_others_changes(committed: Connect, case: str, ends: str) -> None:
    there, first, second = CASES[case]
    one, two, watcher = committed(), committed(), committed()
    watcher.autocommit = True
    for session in there:
        play(watcher, session)

    first(one)
    thread, outcome = in_thread(lambda: second(two))
    wait_until(lambda: waits(watcher, two), 20, lambda: f"the second writer does not wait: {outcome}")
    getattr(one, ends)()
    thread.join()
    assert not isinstance(outcome[0], Exception), outcome
    two.commit()

    assert differences(watcher) == []
    (_, *changed) = watcher.execute("select * from geo.rebuild_activity()").fetchone()
    assert changed == [0, 0, 0]


@pytest.mark.parametrize("case", CASES)
def test_a_writer_who_sees_the_past_is_refused_unless_the_group_is_gone(committed: Connect, case: str) -> None:
    there, first, second = CASES[case]
    one, two, watcher = committed(), committed(), committed()
    watcher.autocommit = True
    for session in there:
        play(watcher, session)
    two.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    two.execute("select count(*) from store.play_session")

    first(one)
    one.commit()

    if case == "one empties the group that the other adds to":
        second(two)
        two.commit()
    else:
        with pytest.raises(errors.SerializationFailure):
            second(two)
        two.rollback()
    assert differences(watcher) == []


def test_nobody_but_the_triggers_writes_activity(writing: psycopg.Connection) -> None:
    play(writing, "S-1")
    for statement in (
        "update geo.activity set sessions = 0",
        "delete from geo.activity",
        "insert into geo.cell (cell_id, boundary) select 1, boundary from geo.cell",
        "create trigger mine after insert on store.play_session execute function geo.add_sessions()",
    ):
        with pytest.raises(errors.InsufficientPrivilege), writing.transaction():
            writing.execute(statement)


def test_a_reader_may_not_rebuild(reader: psycopg.Connection) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute("select geo.rebuild_activity()")
