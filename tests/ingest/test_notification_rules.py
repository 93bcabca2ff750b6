"""Rules of notifications and their texts, from files into the store."""

from __future__ import annotations

from typing import Any

import pytest

WORDS = "marketing,Hello,there,en"
WEEKLY = f"{WORDS},weekday,monday"


def results(ingestion: Any) -> list[dict[str, int]]:
    return [
        {name: count for name, count in result["account"].items() if count and isinstance(count, int)}
        for result in ingestion.run()
    ]


def test_a_rule_says_whom_it_is_for(ingestion: Any) -> None:
    ingestion.put("game", "G-1,Starforge,,", "G-2,Aurora,,")
    ingestion.run()
    ingestion.put(
        "notification_rule",
        f"r-1,{WEEKLY},Germany; at,PS5;XSX,Starforge,G-2,yes",
        f"R-2,{WORDS},date,2028-02-29,,,,,no",
        f"R-3,{WORDS},month_day,31,,pc,,,1",
        f"R-4,{WORDS},event,Game_Released,DE,,,,true",
    )
    assert results(ingestion) == [{"read": 4, "accepted": 4, "inserted": 4}]
    words = ("marketing", "Hello", "there", "en")
    assert ingestion.clean_tables()["rule"] == [
        ("R-1", *words, "weekday", "monday",
         {"countries": ["AT", "DE"], "platforms": ["PlayStation 5", "Xbox Series X|S"]}, "G-1", "G-2", True),
        ("R-2", *words, "date", "2028-02-29", {}, None, None, False),
        ("R-3", *words, "month_day", "31", {"platforms": ["PC"]}, None, None, True),
        ("R-4", *words, "event", "game_released", {"countries": ["DE"]}, None, None, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "day", ["2026-02-29", "2026-04-31", "2026-13-01", "2026-00-10", "2026-01-00", "0000-01-01", "7"]
)
def test_a_day_that_there_is_not_is_rejected(ingestion: Any, day: str) -> None:
    ingestion.put("notification_rule", f"R-1,{WORDS},date,{day},,,,,yes", f"R-2,{WORDS},date,2026-12-31,,,,,yes")
    assert results(ingestion) == [{"read": 2, "accepted": 1, "rejected": 1, "inserted": 1}]
    assert ingestion.query("select line_no, column_name, reason, detail from ops.rejected_row") == [
        (2, "due_value", "invalid_due_date", f"'{day}' is no day; accepted where due_kind is date: YYYY-MM-DD")
    ]


def test_the_same_rules_again_change_nothing_and_others_are_updated(ingestion: Any) -> None:
    ingestion.put("game", "G-1,Starforge,,")
    ingestion.run()
    rows = [f"R-1,{WEEKLY},DE;AT,PC,G-1,,yes", f"R-2,{WEEKLY},,,,,yes"]
    ingestion.put("notification_rule", *rows)
    ingestion.run()
    ingestion.put("notification_rule", f"R-1,{WEEKLY},AT;Germany,windows,starforge,,1", rows[1], name="b.csv")
    assert results(ingestion) == [{"read": 2, "accepted": 2, "unchanged": 2}]
    ingestion.put("notification_rule", rows[0], f"R-2,{WEEKLY},,,,,no", name="c.csv")
    assert results(ingestion) == [{"read": 2, "accepted": 2, "updated": 1, "unchanged": 1}]
    assert [rule[-1] for rule in ingestion.clean_tables()["rule"]] == [True, False]


def test_rules_wait_for_their_games_and_texts_for_their_rules(ingestion: Any) -> None:
    ingestion.put("notification_text", 'R-1,de,Hallo,"du\n\nda"', "R-1,de_AT,Servus,du", "R-2,de,Hallo,du")
    ingestion.put("notification_rule", f"R-1,{WEEKLY},,,,Starforge,yes", f"R-2,{WEEKLY},,,,,yes")
    ingestion.run()
    held = "select column_name, reason, ref_value from ops.held_row where retried_load_id is null order by 2, 3"
    waiting = ingestion.query(held)
    assert ("wishlisted_game", "unknown_game", "Starforge") in waiting
    assert waiting.count(("rule_id", "unknown_notification_rule", "R-1")) == 2
    while ingestion.retry():
        pass
    assert [text[:2] for text in ingestion.clean_tables()["text"]] == [("R-2", "de")]
    ingestion.put("game", "G-1,Starforge,,")
    ingestion.run()
    while ingestion.retry():
        pass
    assert ingestion.query(held) == []
    tables = ingestion.clean_tables()
    assert [(rule[0], rule[9]) for rule in tables["rule"]] == [("R-1", "G-1"), ("R-2", None)]
    assert tables["text"] == [
        ("R-1", "de", "Hallo", "du\n\nda"), ("R-1", "de_AT", "Servus", "du"), ("R-2", "de", "Hallo", "du"),
    ]  # fmt: skip


def test_a_rule_follows_its_game_when_two_turn_out_to_be_one(ingestion: Any) -> None:
    ingestion.put("game", "G-5,Starforge,,", "G-7,Aurora,,")
    ingestion.run()
    ingestion.put("notification_rule", f"R-1,{WEEKLY},,,G-5,,yes")
    ingestion.run()
    ingestion.put("game", "G-1,STARFORGE,,", name="b.csv")
    ingestion.run()
    assert ingestion.clean_tables()["rule"][0][8] == "G-1"
    ingestion.put("notification_rule", f"R-1,{WEEKLY},,,Starforge,,yes", name="b.csv")
    assert results(ingestion) == [{"read": 1, "accepted": 1, "unchanged": 1}]
