"""The DAG publish_dashboard on real parts: every figure equals a query on the store, which has no part of its SQL."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg

from marketplace import connections
from marketplace.reporting import charts, figures
from marketplace.reporting.figures import Chart, Figure, Row
from tests.reporting.conftest import SEED, build, fill
from tests.runner import Runner
from tests.sync.conftest import Sync

NAMES = ["games", "map", "notifications", "payouts", "play", "quality", "revenue"]
HOSTILE = {
    "G-0": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "G-1": "$\\frac{1}{0}$ & \"quotes' #0969da {{ 7 * 7 }}",
    "G-2": "星のカービィ ディスカバリー" * 15,
    "G-3": "مرحبا بالعالم " * 14,
    "G-4": "W" * 200,
    "G-5": "a\u202eb\u2066c\ud7ff\u0007 Zoë 🎮",
}


class Reports:
    """Airflow and the report bucket."""

    def __init__(self, sync: Sync) -> None:
        self.runner = Runner(sync.store.platform)
        self._s3 = sync.s3
        self._bucket = sync.store.platform.state.outputs["ReportBucket"]

    def publish(self, **conf: Any) -> Any:
        """Run the DAG once."""
        return self.runner.run("publish_dashboard", **conf)

    def files(self, prefix: str = "dashboard/") -> dict[str, bytes]:
        """Return what is in the bucket, by key."""
        listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix).get("Contents", [])
        return {o["Key"]: self._s3.get_object(Bucket=self._bucket, Key=o["Key"])["Body"].read() for o in listed}

    def page(self) -> str:
        return self.files()["dashboard/latest/index.html"].decode()

    def figures(self) -> dict[str, dict[str, Any]]:
        """Return the figures of figures.json by their ids."""
        told = json.loads(self.files()["dashboard/latest/figures.json"])
        return {figure["id"]: figure for chart in told["charts"] for figure in chart["figures"]}

    def clear(self) -> None:
        for key in self.files():
            self._s3.delete_object(Bucket=self._bucket, Key=key)


@pytest.fixture
def reports(sync: Sync, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    """Airflow, which has no way to the store, and an empty report bucket."""

    def no_store(*_: Any, **__: Any) -> None:
        raise AssertionError("The dashboard reads the warehouse, not the store.")

    monkeypatch.setattr(connections, "store", no_store)
    reports = Reports(sync)
    reports.clear()
    yield reports
    reports.clear()


@pytest.fixture
def recent(sync: Sync) -> Sync:
    """A synced store with its marts: four days that lie some days back, most lines of which are of three loads."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=10)
    fill(sync, random.Random(SEED), start)  # noqa: S311 - test data
    sync.change(
        "update store.transaction_line as l set load_id = 1 + mod(n.n, 3), load_line = 1 + n.n from ("
        " select transaction_id, line_no, row_number() over (order by transaction_id, line_no) as n"
        " from store.transaction_line) as n"
        " where (l.transaction_id, l.line_no) = (n.transaction_id, n.line_no) and mod(n.n, 7) > 0",
        "update store.play_session set load_id = 2, load_line = 2 + substr(session_id, 3)::integer",
        "update ops.load_account set finished_at = now() - interval '2 days', put_at = now() - interval '2 days',"
        " archive_key = replace(object_key, 'landing/', 'archive/')",
    )
    sync.sync()
    build(sync)
    return sync


def of(told: dict[str, dict[str, Any]], chart: str) -> dict[tuple[str, str], Decimal]:
    """Return the values of a chart by row and part."""
    found = {}
    for key, figure in told.items():
        name, _, rest = key.partition("/")
        if name == chart:
            row, _, part = rest.rpartition("/")
            found[row, part] = Decimal(str(figure["value"]))
    return found


LINES = (
    "select (t.occurred_at at time zone 'UTC')::date::text, t.type, t.currency, l.game_id, l.platform, r.publisher_id,"
    " l.gross, l.fee, l.load_id, l.load_line from store.transaction_line l join store.transaction t using"
    " (transaction_id) join store.game_release r using (game_id, platform)"
)


def test_every_figure_equals_a_query_on_the_store(recent: Sync, reports: Reports) -> None:
    run = reports.publish()
    assert run.state == "success"
    assert reports.runner.announced(run) == ["dashboard"]
    told = reports.figures()
    lines = recent.asked(LINES)
    trade = [line for line in lines if line[1] != "payout"]
    main = max(("EUR", "USD"), key=lambda currency: sum(line[2] == currency for line in trade))
    other = {"EUR": "USD", "USD": "EUR"}[main]

    revenue: dict[Any, Decimal] = defaultdict(Decimal)
    for day, kind, currency, *_, gross, _fee, _load, _line in trade:
        revenue[day if currency == main else other, kind] += gross
    assert of(told, "revenue") == revenue
    assert len(revenue) >= 8
    assert told[f"revenue/{other}/sale"]["unit"] == other
    assert {figure["unit"] for key, figure in told.items() if key.startswith("games/")} == {main}

    games: dict[Any, Decimal] = defaultdict(Decimal)
    owed: dict[Any, Decimal] = defaultdict(Decimal)
    for _, kind, currency, game, platform, publisher, gross, fee, *_ in lines:
        if kind == "sale" and currency == main:
            games[game, platform] += gross
        owed[(publisher, "owed") if f"payouts/{currency}/other" not in told else (currency, "other")] += gross - fee
    assert of(told, "games") == games
    assert of(told, "payouts") == owed

    play = recent.asked(
        "select extract(dow from started_at at time zone 'UTC')::text, extract(hour from started_at at time zone"
        " 'UTC')::text, count(*) from store.play_session group by 1, 2"
    )
    assert of(told, "play") == {(weekday, hour): count for weekday, hour, count in play}
    cells = recent.asked("select geo.cell_at(location::geometry), count(*) from store.play_session group by 1")
    size = next(n for n in (1, 2, 4, 8, 16) if len({(c // 10_000 // n, c % 10_000 // n) for c, _ in cells}) <= 400)
    places: dict[Any, int] = defaultdict(int)
    for cell, count in cells:
        places[f"{cell // 10_000 // size}.{cell % 10_000 // size}", "sessions"] += count
    assert of(told, "map") == places

    assert of(told, "quality") == {
        ("game, title: missing", "rejected"): 3, ("game, row: x", "held"): 1, ("game, row: encoding", "file"): 1,
    }  # fmt: skip
    assert of(told, "notifications") == {
        ("R-1", "expected"): 21, ("R-1", "delivered"): 17, ("R-1", "skipped"): 3, ("R-1", "read"): 15,
        ("R-2", "expected"): 5, ("R-2", "delivered"): 0, ("R-2", "skipped"): 5, ("R-2", "read"): 0,
    }  # fmt: skip
    assert {chart["name"] for chart in json.loads(reports.files()["dashboard/latest/figures.json"])["charts"]} == set(
        NAMES
    )


def test_each_figure_leads_to_its_loads_and_lines(recent: Sync, reports: Reports) -> None:
    reports.publish()
    told = reports.figures()
    lines: dict[tuple[str, str, str, int], dict[int, Decimal]] = defaultdict(dict)
    unfiled: dict[tuple[str, str, str], int] = defaultdict(int)
    for day, kind, currency, *_, gross, _fee, load, line in recent.asked(LINES + " where t.type <> 'payout'"):
        if load is None:
            unfiled[day, kind, currency] += 1
        else:
            lines[day, kind, currency, load][line] = gross
    main = next(figure["unit"] for key, figure in told.items() if key.startswith("games/"))
    days = {(day, kind) for day, kind, currency, _ in lines if currency == main}
    for day, kind in days:
        figure = told[f"revenue/{day}/{kind}"]
        assert figure["lines_without_file"] == unfiled[day, kind, main]
        found = {load: of for (*key, load), of in lines.items() if key == [day, kind, main]}
        assert {entry["load_id"]: Decimal(str(entry["value"])) for entry in figure["loads"]} == {
            load: sum(of.values()) for load, of in found.items()
        }
        for entry in figure["loads"]:
            load = entry["load_id"]
            assert (entry["lines"], entry["dataset"]) == (len(found[load]), "game")
            assert (entry["object_key"], entry["archive_key"]) == (
                f"landing/game/{load}.csv",
                f"archive/game/{load}.csv",
            )
            # One of each last digit.
            assert set(entry["sample_lines"]) <= set(found[load])
            assert sorted({line % 10 for line in entry["sample_lines"]}) == sorted({line % 10 for line in found[load]})
    assert len(days) >= 8
    assert any(figure["lines_without_file"] for figure in told.values())
    assert all(figure["more_loads"] == 0 for figure in told.values())
    for figure in (f for key, f in told.items() if key.startswith("play/")):
        (entry,) = figure["loads"]
        assert (entry["load_id"], entry["lines"], entry["value"]) == (2, figure["value"], figure["value"])


def test_a_run_again_writes_the_same_bytes_and_a_copy_of_the_day(recent: Sync, reports: Reports) -> None:
    reports.publish()
    first = reports.files()
    day = datetime.now(UTC).date()
    names = [*(f"{name}.png" for name in NAMES), "figures.json", "index.html"]
    copies = {key.split("/")[1] for key in first} - {"latest"}
    assert copies <= {day.isoformat(), (day - timedelta(days=1)).isoformat()}
    (copy,) = copies
    assert sorted(first) == sorted(f"dashboard/{place}/{name}" for place in (copy, "latest") for name in names)
    assert first[f"dashboard/{copy}/index.html"] == first["dashboard/latest/index.html"]
    assert all(body.startswith(b"\x89PNG") for key, body in first.items() if key.endswith(".png"))
    reports.publish()
    assert reports.files() == first


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_names_from_files_are_text_and_nothing_is_fetched(recent: Sync, reports: Reports) -> None:
    for game, title in HOSTILE.items():
        recent.change("update store.game set title = %s where game_id = %s", parameters=(title, game))
    recent.change(
        "update store.publisher set name = %s, name_key = publisher_id", parameters=("</svg><script>alert(3)</script>",)
    )
    recent.sync()
    build(recent)
    assert reports.publish().state == "success"
    page = Page(reports.page())
    assert not page.tags & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "image",
        "base",
        "form",
        "audio",
        "video",
    }
    assert not [one for one in page.attributes if one[1].startswith("on")]
    fetched = [value for tag, name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert all(value.startswith("#") for value in fetched)
    style = (
        "".join(value for _, name, value in page.attributes if name == "style") + reports.page().split("</style>")[0]
    )
    assert "@import" not in style
    assert all(part.startswith("#") for part in style.split("url(")[1:])
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    text = "\n".join(page.text)
    for title in list(HOSTILE.values())[:5]:
        assert " ".join(title.split()) in text, "in the table as it is"
    assert "abc\ud7ff Zoë 🎮" in text or "abc Zoë 🎮" in text, "without what would turn the line around"
    assert "{{ 7 * 7 }}" in text


def test_a_figure_that_is_not_the_sum_of_its_lines_is_not_published(
    recent: Sync, reports: Reports, capfd: pytest.CaptureFixture[str]
) -> None:
    reports.publish()
    before = reports.files()
    recent.spoil("update mart.revenue set sold_gross = sold_gross + 1 where sold_lines > 0")
    run = reports.publish()
    assert run.state == "failed"
    assert "figures of revenue are not the sum of the lines that they come from" in capfd.readouterr().out
    assert reports.files() == before


def test_marts_that_are_older_than_the_last_sync_are_not_drawn(recent: Sync, reports: Reports) -> None:
    recent.change("update store.game set title = 'Other'")
    recent.sync()
    run = reports.publish()
    assert reports.runner.states(run) == {"publish": ["skipped"]}
    assert reports.files() == {}
    build(recent)
    assert reports.runner.states(reports.publish()) == {"publish": ["success"]}
    assert "Other" in reports.page()


def test_an_empty_store_has_a_dashboard_that_says_so(sync: Sync, reports: Reports) -> None:
    never = reports.publish()
    assert (never.state, reports.files()) == ("failed", {})
    sync.sync()
    build(sync)
    assert reports.publish().state == "success"
    text = "\n".join(Page(reports.page()).text)
    for said in (
        "Nothing was sold or refunded in these days.", "No publisher has earned anything yet.",
        "Nobody has played in these days.", "No row was rejected or held in these days.",
        "No rule was due in these days.",
    ):  # fmt: skip
        assert said in text
    assert len([key for key in reports.files() if key.endswith(".png")]) == 2 * len(NAMES)
    assert reports.figures() == {}


def test_many_currencies_and_years_are_drawn_by_month_and_never_added_up(recent: Sync, reports: Reports) -> None:
    # Of each transaction another day of five years, and one of ten currencies.
    recent.change(
        "update store.transaction set occurred_at = occurred_at - (substr(transaction_id, 3)::integer * 6) * interval"
        " '1 day', currency = 'C' || chr(65 + substr(transaction_id, 3)::integer %% 10) || 'X'"
    )
    recent.sync()
    build(recent)
    assert reports.publish(days=1900).state == "success"
    told = of(reports.figures(), "revenue")
    months = {row for row, _ in told if row[0] == "2"}
    assert months
    assert {date.fromisoformat(month).day for month in months} == {1}
    expected = dict(
        recent.asked("select currency, sum(gross) from store.transaction_line join store.transaction using"
                     " (transaction_id) where type = 'sale' group by 1")
    )  # fmt: skip
    (main,) = expected.keys() - {row for row, _ in told}
    assert {row: value for (row, part), value in told.items() if part == "sale" and row in expected} == {
        currency: value for currency, value in expected.items() if currency != main
    }
    assert sum(told[month, "sale"] for month in months if (month, "sale") in told) == expected[main]


# ------------------------------------------------------------------------------------------------------ drawing


def chart(name: str, labels: dict[str, str], parts: list[str], value: int = 7) -> Chart:
    """Return a chart whose figures are all the same."""
    found = {(row, part): Figure(row, part, Decimal(value)) for row in labels for part in parts}
    rows = tuple(Row(key, label, point=(10.0 + n, 50.0)) for n, (key, label) in enumerate(labels.items()))
    return Chart(name, name.title(), "EUR", rows, tuple((part, part) for part in parts), found)


@pytest.mark.parametrize(
    "drawn",
    [
        chart("revenue", {"2026-11-22": "2026-11-22"}, ["sale", "refund"]),
        chart("revenue", {f"2026-{n:02}-01": "" for n in range(1, 13)}, ["sale", "refund"], value=10**17),
        chart("games", {"G-1": "One"}, [f"platform {n}" for n in range(20)]),
        chart("payouts", {"P-1": "One"}, ["owed"], value=-5),
        chart("payouts", {"P-1": "One"}, ["owed"], value=0),
        chart("play", {"1": "Monday"}, [str(n) for n in range(24)], value=1),
        chart("map", {"1.1": "", "2.2": ""}, ["sessions"], value=1),
        Chart("games", "Games", "", notes=("Nothing was sold in these days.",)),
    ],
    ids=lambda chart: chart.name,
)
def test_whatever_there_is_is_drawn(drawn: Chart) -> None:
    result = charts.draw(drawn)
    assert result.png.startswith(b"\x89PNG")
    for colour, (in_light, _) in charts.COLOURS.items():
        assert in_light not in result.svg, f"{colour} would stay in the dark"


@pytest.mark.parametrize("days", range(2, 91))
def test_days_on_the_axis_do_not_touch(days: int) -> None:
    from matplotlib.figure import Figure as Canvas

    last = date(2026, 11, 22)
    labels = {(last - timedelta(days=n)).isoformat(): "" for n in reversed(range(days))}
    drawn = replace(chart("revenue", labels, ["sale", "refund"]), title="Revenue by day")
    with rc_context({"font.size": charts.LABEL_PT}):
        canvas = Canvas(figsize=(charts.WIDTH_IN, 3.6), dpi=charts.DPI)
        FigureCanvasAgg(canvas)
        charts._draw_revenue(drawn, canvas, charts.Names())
        boxes = [label.get_window_extent() for label in canvas.axes[0].get_xticklabels()]
    assert len(boxes) >= 2
    assert all(left.x1 + 5 < right.x0 for left, right in pairwise(boxes))


PLATFORMS = [
    "PC", "PlayStation 5", "Nintendo Switch", "iOS", "Steam Deck", "macOS", "Nintendo Switch 2", "Linux",
    "Xbox Series X",
]  # fmt: skip


@pytest.mark.parametrize("platforms", [PLATFORMS[:count] for count in range(2, 10)] + [["W" * 30, "M" * 30]], ids=len)
def test_a_legend_goes_into_the_picture(platforms: list[str]) -> None:
    from matplotlib.figure import Figure as Canvas

    with rc_context({"font.size": charts.LABEL_PT}):
        canvas = Canvas(figsize=(charts.WIDTH_IN, 3.6), dpi=charts.DPI)
        FigureCanvasAgg(canvas)
        charts._draw_games(chart("games", {"G-1": "One"}, platforms), canvas, charts.Names())
        legend = canvas.axes[0].get_legend()
        assert legend is not None
        box = legend.get_window_extent()
    assert box.x1 <= canvas.bbox.x1
    assert box.y1 <= canvas.bbox.y1 - charts.TITLE_PT / 72 * charts.DPI


def test_classes_of_a_heat_map_have_about_as_many_cells_each() -> None:
    assert charts._classes([*range(1, 13), 331]) == [(1, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 331)]
    assert charts._classes([1] * 40 + [2] * 20 + [400]) == [(1, 1), (2, 2), (3, 400)]
    assert charts._classes([5, 5]) == [(5, 5)]


@pytest.mark.parametrize("title", HOSTILE.values())
def test_a_long_name_is_shortened_to_the_room_there_is(title: str) -> None:
    name = charts.shortened(charts.visible(title))
    assert sum(map(charts._width_pt, name)) <= (charts.LABEL_IN - 0.15) * 72
    assert name == charts.visible(title) or name.endswith("…")


def test_a_name_that_no_font_here_can_write_is_its_key_in_the_png_and_itself_on_the_page() -> None:
    names = charts.Names()
    from matplotlib.figure import Figure as Canvas

    label = Canvas().text(0, 0, "")
    names.put(label, Row("G-7", "星のカービィ"))
    assert (label.get_text(), names.texts) == ("G-7", {"name-0": "星のカービィ"})
    assert "星のカービィ" in charts.draw(chart("games", {"G-7": "星のカービィ"}, ["PC"])).svg


def test_a_name_of_two_lines_is_broken_between_words_and_its_second_line_shortened() -> None:
    assert charts.wrapped("Short") == "Short"
    assert (
        charts.wrapped("transaction_detail, platform_fee: more_digits")
        == "transaction_detail, platform_fee:\nmore_digits"
    )
    first, second = charts.wrapped("one two three four five six " * 9).split("\n")
    assert first.startswith("one two")
    assert second.endswith("…")
    assert charts.shortened(first) == first


@pytest.mark.parametrize(
    ("value", "written"), [(0, "0"), (999, "999"), (1500, "1.5 k"), (-2_000_000, "-2 M"), (3.2e9, "3.2 billion")]
)
def test_numbers_of_axes(value: float, written: str) -> None:
    assert charts.compact(value) == written


def test_the_charts_are_those_that_are_drawn() -> None:
    assert sorted(charts.DRAWERS) == NAMES
    assert len(figures.CHARTS) == len(NAMES)
