"""A person's word on an alias: it changes the rows it should and no others, at once and for all later loads."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from typing import Any

import pytest

from marketplace.ingest.corrections import Alias, CorrectionError, correct

CATALOGUE = {
    "publisher": ("P-1,Valve,", "P-2,Nova,DE", "P-7,VALV Works,FR"),
    "game": (
        "G-1,Starforge,2022-10-14,", "G-6,Ember Tide,2019-03-01,RPG", "G-7,EMBER TIDE,2021-05-01,", "G-9,Star Forge,,"
    ),
    "transaction": ("T-1,sale,2025-01-05,EUR,15,CUST-0001",),
}  # fmt: skip


def say(
    ingestion: Any, dataset: Any, alias_is: Any, text: str, stands_for: str | None, **options: Any
) -> dict[str, Any]:
    with ingestion.connect() as connection:
        options = {"reason": "a test", "made_by": "ann"} | options
        return correct(connection, Alias(dataset, alias_is, text), stands_for, **options)


def put_catalogue(ingestion: Any) -> None:
    for dataset, rows in CATALOGUE.items():
        ingestion.put(dataset, *rows)
    ingestion.run()


def line(number: int, game: str, publisher: str, platform: str = "PC") -> str:
    return f"T-1,{number},{game},{publisher},EU,{platform},5,1,4"


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return how many rows of each table are gone and how many are new; a changed row is both."""
    found = {}
    for table in before:
        old, new = Counter(before[table]), Counter(after[table])
        if old != new:
            found[table] = ((old - new).total(), (new - old).total())
    return found


def aliases(ingestion: Any, dataset: str) -> dict[str, str]:
    return dict(ingestion.query(f"select alias_id, {dataset}_id from store.{dataset}_alias order by 1"))


def test_a_name_lets_exactly_its_rows_enter(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put(
        "transaction_detail",
        line(1, "G-1", "Valve"), line(2, "G-1", "VALV Softwear"), line(3, "G-1", "Volvo"),
        line(4, "G-1", "valv  SOFTWEAR Inc."),
    )  # fmt: skip
    ingestion.run()
    before = ingestion.everything()

    said = say(ingestion, "publisher", "name", " VALV Softwear ", "P-1")

    assert (said["held_rows_to_retry"], said["rows"], said["tables_changed"]) == (2, {}, [])
    assert difference(before, ingestion.everything()) == {"ops.alias_correction": (0, 1)}
    (retried,) = ingestion.retry()
    assert (retried["read"], retried["inserted"], retried["issues"]) == (2, 2, 0)
    assert difference(before, ingestion.everything()) == {
        "ops.alias_correction": (0, 1), "ops.load": (0, 1), "ops.load_account": (0, 1), "ops.held_row": (2, 2),
        "store.transaction_line": (0, 2),
    }  # fmt: skip
    assert ingestion.query("select line_no from store.transaction_line order by 1") == [(1,), (2,), (4,)]
    assert ingestion.query("select ref_value from ops.held_row where retried_load_id is null") == [("Volvo",)]

    after = ingestion.everything()
    assert say(ingestion, "publisher", "name", "Valv softwear", "P-1", made_by="bob")["before"] == "stood for P-1"
    assert ingestion.retry() == []
    assert ingestion.everything() == after


def test_a_source_id_takes_along_what_pointed_to_it(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put(
        "transaction_detail",
        line(1, "G-1", "P-1"), line(2, "G-9", "P-7"), line(3, "G-9", "VALV Works", "Switch"), line(4, "G-6", "P-2"),
    )  # fmt: skip
    ingestion.run()
    ingestion.execute(
        "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, location)"
        " select 'S-1', customer_id, 'G-9', 'PC', '2025-01-05Z', 'SRID=4326;POINT(13 52)' from store.customer"
    )
    ingestion.execute("insert into store.wishlist (customer_id, game_id) select customer_id, 'G-9' from store.customer")
    before = ingestion.everything()

    said = say(ingestion, "publisher", "id", "P-7", "P-1")

    # The publisher with the country that only P-7 had, one alias and two releases; the publisher that is gone.
    assert said["rows"] == {
        "store.publisher": {"written": 1, "removed": 1},
        "store.publisher_alias": {"written": 1, "removed": 0},
        "store.game_release": {"written": 2, "removed": 0},
    }
    assert difference(before, ingestion.everything()) == {
        "ops.alias_correction": (0, 1), "ops.tombstone": (0, 1), "store.publisher": (2, 1),
        "store.publisher_alias": (1, 1), "store.game_release": (2, 2),
    }  # fmt: skip
    assert aliases(ingestion, "publisher") == {"P-1": "P-1", "P-2": "P-2", "P-7": "P-1"}
    assert ingestion.query("select name, country_code from store.publisher where publisher_id = 'P-1'") == [
        ("Valve", "FR")
    ]

    before = ingestion.everything()
    say(ingestion, "game", "id", "G-9", "G-1")
    found = difference(before, ingestion.everything())
    assert {table: found[table] for table in found if not table.startswith("geo.")} == {
        "ops.alias_correction": (0, 1), "ops.tombstone": (0, 4), "store.game": (1, 0), "store.game_alias": (1, 1),
        "store.game_release": (2, 1), "store.transaction_line": (2, 2), "store.play_session": (1, 1),
        "store.wishlist": (1, 1),
    }  # fmt: skip
    assert ingestion.query("select line_no, game_id from store.transaction_line order by 1") == [
        (1, "G-1"), (2, "G-1"), (3, "G-1"), (4, "G-6"),
    ]  # fmt: skip
    assert ingestion.query("select game_id from store.play_session union all select game_id from store.wishlist") == [
        ("G-1",), ("G-1",),
    ]  # fmt: skip


def test_a_title_of_two_games_means_the_one_that_a_person_says(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("transaction_detail", line(1, "Ember Tide", "P-1"), line(2, "G-6", "P-1"))
    ingestion.run()
    assert ingestion.query("select reason from ops.held_row where retried_load_id is null") == [("ambiguous_game",)]
    assert say(ingestion, "game", "name", "ember tide", "G-7")["held_rows_to_retry"] == 1
    assert [one["inserted"] for one in ingestion.retry()] == [1]
    ingestion.put("transaction_detail", line(3, "Ember Tide", "P-1"), name="b.csv")
    ingestion.run()
    games = "select line_no, game_id from store.transaction_line order by 1"
    assert ingestion.query(games) == [(1, "G-7"), (2, "G-6"), (3, "G-7")]
    assert aliases(ingestion, "game")["G-6"] == "G-6"
    # Removed, it is as if nobody had said it, for what comes later.
    say(ingestion, "game", "name", "Ember Tide", None)
    ingestion.put("transaction_detail", line(4, "Ember Tide", "P-1"), name="c.csv")
    ingestion.run()
    assert ingestion.query(games) == [(1, "G-7"), (2, "G-6"), (3, "G-7")]


def test_a_name_that_two_corrected_ids_have_is_held_until_a_person_says_which_is_meant(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("publisher", "P-8,VALV Works,", name="b.csv")
    ingestion.run()
    say(ingestion, "publisher", "id", "P-7", "P-1")
    say(ingestion, "publisher", "id", "P-8", "P-2")
    ingestion.put("transaction_detail", line(1, "G-1", "VALV Works"), line(2, "G-1", "P-1", "iOS"))
    ingestion.run()
    assert ingestion.query("select line_no, column_name, reason, detail, ref_dataset, ref_value from ops.held_row") == [
        (
            2, "publisher_ref", "ambiguous_publisher",
            "2 publishers have the name 'VALV Works': only an id can tell them apart", "publisher", "VALV Works",
        )
    ]  # fmt: skip
    say(ingestion, "publisher", "name", "valv works", "P-2")
    assert [one["inserted"] for one in ingestion.retry()] == [1]
    assert ingestion.query("select platform, publisher_id from store.game_release order by 1 desc") == [
        ("iOS", "P-1"), ("PC", "P-2"),
    ]  # fmt: skip


def test_a_corrected_title_tells_no_games_apart(ingestion: Any) -> None:
    put_catalogue(ingestion)
    # Without G-6's date the two are one game; what G-6 reports no longer counts but where G-1 has nothing.
    say(ingestion, "game", "id", "G-6", "G-1")
    assert aliases(ingestion, "game") == {"G-1": "G-1", "G-6": "G-1", "G-7": "G-7", "G-9": "G-9"}
    assert ingestion.query("select title, release_date::text, genre from store.game where game_id = 'G-1'") == [
        ("Starforge", "2022-10-14", "RPG")
    ]
    ingestion.put("transaction_detail", line(1, "Ember Tide", "P-1"))
    ingestion.run()
    assert ingestion.query("select game_id from store.transaction_line") == [("G-7",)]
    # A second ember tide of its own makes the title ambiguous again; the corrected one is no candidate.
    ingestion.put("game", "G-8,Ember Tide,2023-01-01,", name="b.csv")
    ingestion.put("transaction_detail", line(2, "Ember Tide", "P-1"), name="b.csv")
    ingestion.run()
    assert ingestion.query("select detail from ops.held_row") == [
        ("2 games have the title 'Ember Tide': only an id can tell them apart",)
    ]


@pytest.mark.parametrize(("dataset", "position"), [("publisher", 0), ("publisher", 1), ("publisher", 2), ("game", 0)])
def test_a_file_that_brings_the_corrected_id_again_changes_nothing_of_it(
    ingestion: Any, dataset: str, position: int
) -> None:
    other, first, again = {
        "publisher": ("P-8,Valve,US", "P-7,Valv,FR", "P-7,Nova,DE"),
        "game": ("G-8,Starforge,2022-10-14,", "G-7,Starforged,2021-05-01,", "G-7,Ember Tide,2019-03-01,Puzzle"),
    }[dataset]
    steps: list[Any] = [
        lambda: ingestion.put(dataset, first, name="b.csv"),
        lambda: ingestion.put(dataset, again, name="c.csv"),
    ]
    alias, target = ("P-7", "P-8") if dataset == "publisher" else ("G-7", "G-8")
    steps.insert(position, lambda: said.append(say(ingestion, dataset, "id", alias, target)))
    said: list[dict[str, Any]] = []
    ingestion.put(dataset, other, name="a.csv")
    ingestion.run()
    for step in steps:
        step()
        ingestion.run()
    assert said[0]["note"] == (None if position else f"no file has brought the {dataset} id {alias!r} yet")
    assert aliases(ingestion, dataset) == {alias: target, target: target}
    tables = ingestion.clean_tables()
    assert tables[dataset] == (
        [("P-8", "Valve", "valve", "US")]
        if dataset == "publisher"
        else [("G-8", "Starforge", *ingestion.query("select date '2022-10-14'")[0], "Puzzle")]
    )
    # References by the id and by its name.
    for table in ("publisher", "game"):
        if table != dataset:
            ingestion.put(table, {"publisher": "P-8,Valve,US", "game": "G-8,Starforge,,"}[table], name="d.csv")
    ingestion.put("transaction", *CATALOGUE["transaction"])
    game, publisher = ("G-7", "P-8") if dataset == "game" else ("G-8", "P-7")
    ingestion.put("transaction_detail", line(1, game, publisher))
    ingestion.run()
    assert ingestion.query("select r.game_id, r.publisher_id from store.game_release as r") == [("G-8", "P-8")]


def test_an_id_that_no_file_has_brought_is_understood_where_lines_use_it(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("transaction_detail", line(1, "G-99", "P-99"), line(2, "G-99", "p-99"))
    ingestion.run()
    say(ingestion, "publisher", "id", "P-99", "P-2")
    say(ingestion, "game", "id", "G-99", "G-1")
    ingestion.retry()
    assert ingestion.query(
        "select l.line_no, l.game_id, r.publisher_id from store.transaction_line as l"
        " join store.game_release as r using (game_id, platform)"
    ) == [(1, "G-1", "P-2")]


def test_the_id_that_is_meant_names_the_publisher_though_it_is_not_the_lowest(ingestion: Any) -> None:
    put_catalogue(ingestion)
    say(ingestion, "publisher", "id", "P-1", "P-7")
    assert aliases(ingestion, "publisher") == {"P-1": "P-7", "P-2": "P-2", "P-7": "P-7"}
    # What a chain ends at counts, and follows when that changes.
    say(ingestion, "publisher", "id", "P-7", "P-2")
    assert aliases(ingestion, "publisher") == {"P-1": "P-2", "P-2": "P-2", "P-7": "P-2"}
    assert ingestion.query("select publisher_id, name, country_code from store.publisher") == [("P-2", "Nova", "DE")]
    say(ingestion, "publisher", "id", "P-7", None)
    assert aliases(ingestion, "publisher") == {"P-1": "P-7", "P-2": "P-2", "P-7": "P-7"}
    say(ingestion, "publisher", "id", "P-1", "P-2")
    assert aliases(ingestion, "publisher") == {"P-1": "P-2", "P-2": "P-2", "P-7": "P-7"}
    assert ingestion.query(
        "select alias, stands_for, made_by, removed_by from ops.alias_correction order by correction_id"
    ) == [("P-1", "P-7", "ann", "ann"), ("P-7", "P-2", "ann", "ann"), ("P-1", "P-2", "ann", None)]


def test_a_correction_that_is_removed_leaves_the_catalogue_as_it_was(ingestion: Any) -> None:
    put_catalogue(ingestion)
    before = ingestion.clean_tables()
    for dataset, alias, target in (("publisher", "P-7", "P-1"), ("game", "G-9", "G-1"), ("game", "G-6", "G-7")):
        say(ingestion, dataset, "id", alias, target)
        assert ingestion.clean_tables() != before
        say(ingestion, dataset, "id", alias, None)
        assert ingestion.clean_tables() == before


def test_a_run_that_was_killed_after_its_commit_is_told_what_it_has_changed(ingestion: Any) -> None:
    put_catalogue(ingestion)
    say(ingestion, "publisher", "id", "P-7", "P-1", run="tried", dry_run=True)
    said = say(ingestion, "publisher", "id", "P-7", "P-1", run="sets")
    assert said["tables_changed"] == ["store.publisher", "store.publisher_alias"]
    before = ingestion.everything()
    assert say(ingestion, "publisher", "id", "P-7", "P-1", run="sets") == said
    assert ingestion.everything() == before
    assert say(ingestion, "publisher", "id", "P-7", "P-1", run="says the same")["tables_changed"] == []

    removed = say(ingestion, "publisher", "id", "P-7", None, run="removes")
    assert removed["tables_changed"] == ["store.publisher", "store.publisher_alias"]
    before = ingestion.everything()
    assert say(ingestion, "publisher", "id", "P-7", None, run="removes") == removed
    assert say(ingestion, "publisher", "id", "P-7", "P-1", run="sets") == said
    assert ingestion.everything() == before
    with pytest.raises(CorrectionError, match="Nothing is said of the publisher id 'P-7'"):
        say(ingestion, "publisher", "id", "P-7", None, run="removes again")


REFUSED: list[tuple[tuple[Any, ...], str]] = [
    (("publisher", "id", "P-7", "P-99"), "No file has brought the publisher id 'P-99': stands_for is an id."),
    (
        ("publisher", "id", "P-7", "VALVE"),
        "No file has brought the publisher id 'VALVE': stands_for is an id; 'VALVE' is the name of P-1.",
    ),
    (("game", "id", "G-7", "P-1"), "No file has brought the game id 'P-1': stands_for is an id."),
    (("publisher", "id", "P-1", "P-1"), "'P-1' cannot stand for itself."),
    (
        ("publisher", "id", "P-2", "P-5"),
        "the publisher id 'P-2' cannot stand for 'P-5', which stands for it by what was said before "
        "(P-5 → P-4 → P-2): remove that first.",
    ),
    (("publisher", "name", "P-7", "P-1"), "'P-7' is the id of a publisher, not a name: choose alias_is = id."),
    (
        ("publisher", "name", "valv works", "P-1"),
        "'valv works' is the name of P-7: say what these ids stand for (alias_is = id). "
        "A name can be corrected when no id has it, or to choose between those that have it.",
    ),
    (
        ("game", "name", "Ember Tide", "G-1"),
        "'Ember Tide' is the name of G-6, G-7: say what these ids stand for (alias_is = id). "
        "A name can be corrected when no id has it, or to choose between those that have it.",
    ),
    (("game", "name", " \u200b ", "G-1"), "alias is empty: it must be a game id or name."),
    (
        ("game", "name", "Starforge", None),
        "Nothing is said of the game name 'Starforge', so there is nothing to remove.",
    ),
]


def test_what_cannot_be_is_refused_and_nothing_changes(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("publisher", "P-4,Four,", "P-5,Five,", name="b.csv")
    ingestion.run()
    say(ingestion, "publisher", "id", "P-4", "P-2")
    say(ingestion, "publisher", "id", "P-5", "P-4")
    before = ingestion.everything()
    for said, message in REFUSED:
        with pytest.raises(CorrectionError) as caught:
            say(ingestion, *said)
        assert str(caught.value) == message
    assert ingestion.everything() == before


def test_a_dry_run_says_what_would_change(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("transaction_detail", line(1, "G-9", "P-7"), line(2, "G-1", "P-99"))
    ingestion.run()
    before = ingestion.everything()
    tried = [say(ingestion, "publisher", "id", alias, "P-1", dry_run=True) for alias in ("P-7", "P-99")]
    assert ingestion.everything() == before
    done = [say(ingestion, "publisher", "id", alias, "P-1") for alias in ("P-7", "P-99")]
    assert tried == [one | {"dry_run": True} for one in done]
    assert [one["held_rows_to_retry"] for one in done] == [0, 1]


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.full) for n in range(1, 10))])
@pytest.mark.parametrize("dataset", ["publisher", "game"])
def test_it_does_not_matter_when_a_person_says_it(ingestion: Any, dataset: str, seed: int) -> None:
    """Files and corrections, once in a random order and once all corrections last, end the same."""
    draw = random.Random(f"{dataset} {seed}")  # noqa: S311 - nothing secret
    ids = [f"{dataset[0].upper()}-{n}" for n in range(1, 8)]
    rests = ["US", "DE", ""] if dataset == "publisher" else ["2020-01-01,", "2021-01-01,RPG", ",Puzzle", ","]
    files = [
        [f"{alias},{draw.choice(['One', 'Two', 'Three'])},{draw.choice(rests)}" for alias in draw.sample(ids, 4)]
        for _ in range(4)
    ]
    everyone = [f"{alias},{draw.choice(['One', 'Two'])},{draw.choice(rests)}" for alias in ids]
    corrections = [tuple(draw.sample(ids, 2)) for _ in range(4)]
    steps: list[Any] = [*enumerate(files), *corrections]
    draw.shuffle(steps)
    ingestion.put(dataset, *everyone, name="0.csv")
    ingestion.run()
    made = []
    for step in steps:
        if isinstance(step[0], int):
            ingestion.put(dataset, *step[1], name=f"{step[0] + 1}.csv")
            ingestion.run()
            continue
        # A circle is refused; everything else is done.
        with contextlib.suppress(CorrectionError):
            say(ingestion, dataset, "id", *step)
            made.append(step)
    assert made
    interleaved = ingestion.clean_tables()
    standing = dict(made)
    for alias in standing:
        say(ingestion, dataset, "id", alias, None)
    for alias, target in standing.items():
        say(ingestion, dataset, "id", alias, target)
    assert ingestion.clean_tables() == interleaved
