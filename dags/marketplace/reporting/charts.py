"""Draws the dashboard's charts by matplotlib: each as SVG for the page, in both themes, and as PNG.

Colours are the light theme's. In the SVG each becomes a CSS variable, by which the page changes the theme. Texts stay
texts there, in the reader's fonts; a PNG has only matplotlib's own, so a name that it cannot write is replaced by the
row's key.
"""

from __future__ import annotations

import io
import json
import math
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from marketplace import settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from marketplace.reporting.figures import Chart, Row

# What each colour is for, and what it is in both themes. No two are alike: in the SVG they are told apart by them.
COLOURS = {
    "ink": ("#1f2328", "#e6edf3"),
    "muted": ("#59636e", "#9198a1"),
    "line": ("#d1d9e0", "#3d444d"),
    "paper": ("#fffffe", "#151b23"),
    "land": ("#e4e8ec", "#2a313c"),
    "water": ("#f7f8fa", "#0f141b"),
    "s0": ("#0969da", "#4493f8"),
    "s1": ("#bc4c00", "#f0883e"),
    "s2": ("#1a7f37", "#3fb950"),
    "s3": ("#8250df", "#ab7df8"),
    "s4": ("#9a6700", "#d29922"),
    "s5": ("#bf3989", "#db61a2"),
    "s6": ("#57606a", "#8b949e"),
    "s7": ("#0a7d91", "#39c5cf"),
    "h0": ("#eaf3fe", "#16263d"),
    "h1": ("#c3dfff", "#173a66"),
    "h2": ("#8ec5ff", "#1a5296"),
    "h3": ("#5aa7f7", "#2a6fc7"),
    "h4": ("#2578d1", "#5b9ff0"),
    "h5": ("#0a4a94", "#a8d0ff"),
}
SERIES = [name for name in COLOURS if name.startswith("s")]
HEAT = [name for name in COLOURS if name.startswith("h")]
WIDTH_IN = 7.4
LABEL_IN = 2.45  # room for the names left of horizontal bars
LABEL_PT = 9.0
DPI = 144
LEGEND_COLUMNS = 4
DAYS_NAMED = 7  # on an axis: more would touch
TITLE_PT = 25.0  # above each chart; the page has its own titles
SVG = "http://www.w3.org/2000/svg"
# Texts that would turn the rest of a line around, and what no font shows.
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class Drawn:
    """A chart as SVG (an element for a page) and as PNG."""

    svg: str
    png: bytes


def draw(chart: Chart) -> Drawn:
    """Draw a chart; one that has nothing to show says so."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewCanvas

    style: dict[Any, Any] = {
        "font.family": ["DejaVu Sans"],
        "font.size": LABEL_PT,
        "svg.fonttype": "none",
        "svg.hashsalt": chart.name,
        "text.parse_math": False,  # a title may have two $
        "axes.facecolor": "none",
        "axes.edgecolor": light("line"),
        "axes.labelcolor": light("muted"),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": light("ink"),
        "xtick.color": light("muted"),
        "ytick.color": light("muted"),
        "grid.color": light("line"),
        "axes.grid": False,
        "axes.axisbelow": True,
    }
    with mpl.rc_context(style):
        canvas = NewCanvas(figsize=(WIDTH_IN, _height(chart)), dpi=DPI)
        FigureCanvasAgg(canvas)
        names = Names()
        (DRAWERS[chart.name] if chart.rows else _draw_nothing)(chart, canvas, names)
        vector = io.BytesIO()
        canvas.patch.set_visible(False)
        canvas.savefig(vector, format="svg", metadata={"Date": None, "Creator": None})
        canvas.patch.set_visible(True)
        canvas.text(0.012, 1 - 0.12 / _height(chart), chart.title, fontsize=12, fontweight="bold", va="top")
        raster = io.BytesIO()
        canvas.savefig(raster, format="png", facecolor=light("paper"), metadata={"Software": None})
    return Drawn(_for_page(vector.getvalue(), chart, names), raster.getvalue())


def light(name: str) -> str:
    """Return a colour of the light theme."""
    return COLOURS[name][0]


# ------------------------------------------------------------------------------------------------------- names


class Names:
    """The names that are drawn. Each is drawn as the fonts here can, and the SVG gets the name itself."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}  # by the id of the element

    def put(self, label: Any, row: Row) -> None:
        """Write a row's name into a text of matplotlib's."""
        name = wrapped(visible(row.label))
        if not drawable(name.replace("\n", "")):
            name = shortened(visible(row.label))
            gid = f"name-{len(self.texts)}"
            self.texts[gid] = name
            label.set_gid(gid)
            name = shortened(visible(row.key)) if drawable(visible(row.key)) else "(see the page)"
        label.set_text(name)


def visible(text: str) -> str:
    """Return a text on one line, without what controls a line's direction or no font shows."""
    kept = (
        " " if character.isspace() else character
        for character in text
        if character in _JOINERS or character.isspace() or unicodedata.category(character) not in _UNSEEN
    )
    return " ".join("".join(kept).split()) or "(no name)"


def wrapped(text: str) -> str:
    """Return a text on up to two lines, broken between words, of which the second is shortened if it must be."""
    if shortened(text) == text:
        return text
    words = text.split(" ")
    first = max((n for n in range(1, len(words)) if shortened(" ".join(words[:n])) == " ".join(words[:n])), default=0)
    return f"{' '.join(words[:first])}\n{shortened(' '.join(words[first:]))}" if first else shortened(text)


def shortened(text: str, room_in: float = LABEL_IN - 0.15) -> str:
    """Return a text that fits into so many inches, with … for what does not."""
    room = room_in * 72
    if sum(map(_width_pt, text)) <= room:
        return text
    width, kept = _width_pt("…"), []
    for character in text:
        width += _width_pt(character)
        if width > room:
            break
        kept.append(character)
    # A sign that belongs to the one before it goes with it.
    return "".join(kept).rstrip() + "…"


@cache
def _width_pt(character: str) -> float:
    """Return how wide a character is, in points: of what the font lacks, as wide as readers' fonts make it."""
    if unicodedata.combining(character) or character in _JOINERS:
        return 0.0
    if unicodedata.east_asian_width(character) in "WF" or ord(character) not in _glyphs():
        return LABEL_PT * 1.05
    font = _font()
    font.set_size(LABEL_PT, 72)
    return font.load_char(ord(character)).linearHoriAdvance / 65536


@cache
def _font() -> Any:
    from matplotlib import font_manager

    return font_manager.get_font(font_manager.findfont("DejaVu Sans"))


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(_font().get_charmap())


def drawable(text: str) -> bool:
    """Tell whether matplotlib's own font has all characters of a text."""
    return all(ord(character) in _glyphs() for character in text)


# ------------------------------------------------------------------------------------------------------ drawing


def _height(chart: Chart) -> float:
    """Return a chart's height in inches."""
    if chart.name in ("games", "payouts", "quality", "notifications") and chart.rows:
        return 1.35 + 0.36 * len(chart.rows)
    return {"revenue": 3.6, "play": 3.5, "map": 4.9}.get(chart.name, 1.6) if chart.rows else 1.6


def _axes(
    canvas: Canvas, left_in: float, right_in: float = 0.25, bottom_in: float = 0.62, top_in: float = 0.75
) -> Axes:
    """Return axes with margins in inches; above them are the title, in a PNG, and the legend."""
    width, height = canvas.get_size_inches()
    return canvas.add_axes(
        (
            left_in / width,
            bottom_in / height,
            (width - left_in - right_in) / width,
            (height - bottom_in - top_in) / height,
        )
    )


def _legend(axes: Axes, columns: int = LEGEND_COLUMNS) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, frameon=False, fontsize=LABEL_PT,
        handlelength=1.0, handleheight=1.0, handletextpad=0.8, columnspacing=1.4, borderpad=0.4, borderaxespad=0.2,
    )  # fmt: skip


def _legend_columns(labels: Sequence[str], room_in: float) -> int:
    """Return how many columns the legend has that goes into so many inches; matplotlib fills one after the other."""
    for columns in range(LEGEND_COLUMNS, 1, -1):
        rows, longer = divmod(len(labels), columns)
        starts = [n * rows + min(n, longer) for n in range(columns + 1)]
        widths = [max((sum(map(_width_pt, label)) for label in labels[a:b]), default=0) for a, b in pairwise(starts)]
        # What `_legend` asks for, in sizes of the font: a mark and a space each, spaces between, a border.
        around = 1.8 * columns + 1.4 * (columns - 1) + 2 * (0.4 + 0.2)
        if sum(widths) + around * LABEL_PT <= room_in * 72:
            return columns
    return 1


def _draw_nothing(chart: Chart, canvas: Canvas, _names: Names) -> None:
    canvas.text(0.5, 0.4, "\n".join(chart.notes), ha="center", va="center", color=light("muted"), fontsize=11)


def compact(value: float, _position: object = None) -> str:
    """Return a number as axes have it: 1.2 M instead of 1200000."""
    for bound, unit in ((1e12, " trillion"), (1e9, " billion"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= bound:
            return f"{value / bound:.3g}{unit}"
    return f"{value:.3g}"


def _draw_revenue(chart: Chart, canvas: Canvas, _names: Names) -> None:
    from matplotlib import ticker

    axes = _axes(canvas, left_in=0.95)
    days = [date.fromisoformat(row.key) for row in chart.rows]
    places = list(range(len(days)))
    if len(days) > 1:  # days on which nothing was sold keep their place
        step = {"day": 1, "week": 7}.get(chart.title.rsplit(" ", 1)[-1])
        if step:
            places = [(day - days[0]).days // step for day in days]
        else:
            places = [(day.year - days[0].year) * 12 + day.month - days[0].month for day in days]
    for part, colour in (("sale", "s0"), ("refund", "s1")):
        values = [float(chart.value(row.key, part)) for row in chart.rows]
        axes.bar(places, values, width=0.8, color=light(colour), label=dict(chart.parts)[part])
    axes.axhline(0, color=light("muted"), linewidth=0.8)
    axes.set_xlim(-0.7, max(places[-1], 6) + 0.7)
    named = _spread(places, DAYS_NAMED)
    axes.set_xticks([places[n] for n in named], [days[n].isoformat() for n in named])
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(compact))
    axes.grid(visible=True, axis="y")
    axes.set_ylabel(chart.unit)
    axes.set_xlabel(f"{chart.title.rsplit(' ', 1)[-1]} (UTC)")
    _legend(axes)


def _spread(places: Sequence[int], most: int) -> list[int]:
    """Return the indices of up to `most` places that are far enough from one another to be named."""
    apart = max((places[-1] - places[0]) / (most - 1), 1) if len(places) > 1 else 1
    chosen = [0]
    for n, place in enumerate(places):
        if place - places[chosen[-1]] >= apart - 1e-9:
            chosen.append(n)
    return chosen


def _bars(
    chart: Chart, canvas: Canvas, names: Names, parts: Sequence[tuple[str, str, str]],
    value: Callable[[str, str], Decimal],
) -> None:  # fmt: skip
    """Draw a bar a row, the parts beside one another: (key, name, colour) each; several have a legend."""
    from matplotlib import ticker

    columns = _legend_columns([label for _, label, _ in parts], WIDTH_IN - LABEL_IN)
    axes = _axes(
        canvas, left_in=LABEL_IN, top_in=0.42 if len(parts) == 1 else 0.75 + 0.2 * ((len(parts) - 1) // columns)
    )
    places = list(range(len(chart.rows)))
    right, left = [0.0] * len(places), [0.0] * len(places)
    for part, label, colour in parts:
        values = [float(value(row.key, part)) for row in chart.rows]
        begins = [right[n] if one >= 0 else left[n] for n, one in enumerate(values)]
        axes.barh(places, values, left=begins, height=0.62, color=light(colour), label=label)
        for n, one in enumerate(values):
            if one >= 0:
                right[n] += one
            else:
                left[n] += one
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_yticks([])
    for place, row in zip(places, chart.rows, strict=True):
        # Left of the axes: x goes by them, y by the bars.
        names.put(
            axes.text(
                -0.012, place, "", transform=axes.get_yaxis_transform(), ha="right", va="center", linespacing=1.05
            ),
            row,
        )
    if min(left) < 0:
        axes.axvline(0, color=light("muted"), linewidth=0.8)
    elif max(right) == 0:
        axes.set_xlim(0, 1)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(compact))
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(chart.unit)
    if len(parts) > 1:
        _legend(axes, columns)


def _draw_games(chart: Chart, canvas: Canvas, names: Names) -> None:
    # As many platforms as there are colours; the smallest of more are drawn as one.
    own = [part for part, _ in chart.parts][: len(SERIES) - 1 if len(chart.parts) > len(SERIES) else None]
    others = [part for part, _ in chart.parts[len(own) :]]
    series = [(part, part, colour) for part, colour in zip(own, SERIES, strict=False)]
    if others:
        series.append(("others", "others", SERIES[-1]))

    def value(row: str, part: str) -> Decimal:
        chosen = others if part == "others" and others else [part]
        return sum((chart.value(row, one) for one in chosen), Decimal(0))

    _bars(chart, canvas, names, series, value)


def _draw_payouts(chart: Chart, canvas: Canvas, names: Names) -> None:
    _bars(chart, canvas, names, [("owed", "owed", "s0")], chart.value)


def _draw_quality(chart: Chart, canvas: Canvas, names: Names) -> None:
    series = [(part, label, colour) for (part, label), colour in zip(chart.parts, ("s1", "s4", "s3"), strict=True)]
    _bars(chart, canvas, names, series, chart.value)


def _draw_notifications(chart: Chart, canvas: Canvas, names: Names) -> None:
    def value(row: str, part: str) -> Decimal:
        due, delivered, read, skipped = (chart.value(row, of) for of in ("expected", "delivered", "read", "skipped"))
        read = min(read, delivered)
        return {
            "read": read, "unread": delivered - read, "skipped": skipped,
            "open": max(due - delivered - skipped, Decimal(0)),
        }[part]  # fmt: skip

    series = [
        ("read", "delivered and read", "s2"), ("unread", "delivered, not read", "s0"), ("skipped", "skipped", "s6"),
        ("open", "not done", "s1"),
    ]  # fmt: skip
    _bars(chart, canvas, names, series, value)


def _draw_play(chart: Chart, canvas: Canvas, _names: Names) -> None:
    from matplotlib.patches import Rectangle

    axes = _axes(canvas, left_in=1.05, top_in=0.98)
    classes = _classes(int(figure.value) for figure in chart.figures.values() if figure.value)
    # Few classes are drawn by the colours farthest apart.
    colours = [HEAT[round((n + 1) * len(HEAT) / len(classes)) - 1] for n in range(len(classes))]
    for y, row in enumerate(chart.rows):
        for x, (part, _) in enumerate(chart.parts):
            value = chart.value(row.key, part)
            colour = colours[bisect_left(classes, value, key=itemgetter(1))] if value else "water"
            axes.add_patch(Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, facecolor=light(colour), edgecolor="none"))
    axes.set_xlim(0, len(chart.parts))
    axes.set_ylim(len(chart.rows), 0)
    axes.set_yticks([y + 0.5 for y in range(len(chart.rows))], [row.label for row in chart.rows])
    axes.set_xticks([x + 0.5 for x in range(0, 24, 2)], [f"{hour:02}" for hour in range(0, 24, 2)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("hour of the day (UTC)")
    axes.set_ylabel("day of the week")
    for colour, bounds in zip(colours, classes, strict=True):
        axes.bar([0], [0], color=light(colour), label=_class_name(*bounds))
    _legend(axes, columns=3)


def _classes(values: Iterable[int]) -> list[tuple[int, int]]:
    """Return the classes of a heat map, lowest and highest value each: of about as many cells, not of one width.

    So an hour that is far above all others leaves the differences between those in sight.
    """
    ordered = sorted(values)
    ends = sorted({ordered[math.ceil(len(ordered) * n / len(HEAT)) - 1] for n in range(1, len(HEAT) + 1)})
    return [(low + 1, high) for low, high in pairwise([ordered[0] - 1, *ends])]


def _class_name(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _draw_map(chart: Chart, canvas: Canvas, _names: Names) -> None:
    from matplotlib.patches import Polygon

    axes = _axes(canvas, left_in=0.75, top_in=0.8)
    points = [row.point for row in chart.rows if row.point]
    west, east, south, north = _extent(points, *axes.get_window_extent().size)
    axes.set_facecolor(light("water"))
    for kind, rings in _outlines().items():
        for ring in rings:
            longitudes, latitudes = zip(*ring, strict=True)
            if (
                max(longitudes) >= west
                and min(longitudes) <= east
                and max(latitudes) >= south
                and min(latitudes) <= north
            ):
                axes.add_patch(
                    Polygon(ring, closed=True, facecolor=light(kind), edgecolor=light("line"), linewidth=0.5)
                )
    most = max(chart.value(row.key, "sessions") for row in chart.rows)

    def area(sessions: float) -> float:
        return max(min(420.0, 25.0 * float(most)) * sessions / float(most), 4.0)

    axes.scatter(
        [point[0] for point in points], [point[1] for point in points],
        s=[area(float(chart.value(row.key, "sessions"))) for row in chart.rows],
        facecolor=light("s0"), edgecolor=light("paper"), linewidth=0.6, alpha=0.72, zorder=3,
    )  # fmt: skip
    for shown in sorted({int(most), max(round(int(most) / 4), 1)}, reverse=True):
        axes.scatter(
            [], [], s=area(shown), facecolor=light("s0"), edgecolor="none", alpha=0.72, label=f"{shown:,} sessions"
        )
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.spines[:].set_visible(True)
    axes.set_xlabel("longitude (degrees east)")
    axes.set_ylabel("latitude (degrees north)")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, columnspacing=2.4, handletextpad=0.9,
        borderaxespad=0.4,
    )  # fmt: skip


def _extent(points: Sequence[tuple[float, float]], width: float, height: float) -> tuple[float, float, float, float]:
    """Return west, east, south, north: all points and some room, in the axes' shape, and not less than a country."""
    longitudes, latitudes = zip(*points, strict=True)
    tall = max((max(latitudes) - min(latitudes)) * 1.25, 20.0)
    wide = max((max(longitudes) - min(longitudes)) * 1.15, tall * width / height)
    wide = min(wide, 360.0)
    tall = min(max(tall, wide * height / width), 180.0)
    middle = (max(longitudes) + min(longitudes)) / 2, (max(latitudes) + min(latitudes)) / 2
    west = min(max(middle[0] - wide / 2, -180.0), 180.0 - wide)
    south = min(max(middle[1] - tall / 2, -90.0), 90.0 - tall)
    return west, west + wide, south, south + tall


@cache
def _outlines() -> dict[str, list[list[list[float]]]]:
    """Return the outlines of land and of the water in it: lists of (longitude, latitude)."""
    text = (settings.include_dir() / "reporting" / "land.json").read_text(encoding="utf-8")
    outlines = json.loads(text)
    return {"land": outlines["land"], "water": outlines["water"]}


DRAWERS: Mapping[str, Callable[[Chart, Canvas, Names], None]] = {
    "revenue": _draw_revenue, "games": _draw_games, "payouts": _draw_payouts, "play": _draw_play, "map": _draw_map,
    "quality": _draw_quality, "notifications": _draw_notifications,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------- for the page


def _for_page(svg: bytes, chart: Chart, names: Names) -> str:
    """Return matplotlib's SVG as an element of a page: its names, colours that follow the theme, ids of its own."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(svg)  # noqa: S314 - written above
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for group in root.iter(f"{{{SVG}}}g"):
        name = names.texts.get(group.get("id", ""))
        if name is not None:
            text = next(group.iter(f"{{{SVG}}}text"))
            text.text = name
    for element in root.iter():
        if "style" in element.attrib:
            element.set("style", _style(element.attrib["style"]))
        for attribute, value in list(element.attrib.items()):
            if attribute == "{http://www.w3.org/1999/xlink}href":
                del element.attrib[attribute]
                element.set("href", f"#{chart.name}-{value.removeprefix('#')}")
            elif attribute == "id":
                element.set("id", f"{chart.name}-{value}")
            elif "url(#" in value:
                element.set(attribute, value.replace("url(#", f"url(#{chart.name}-"))
    del root.attrib["width"], root.attrib["height"]
    _, _, width, height = root.attrib["viewBox"].split()
    root.set("viewBox", f"0 {TITLE_PT:g} {width} {float(height) - TITLE_PT:g}")
    root.set("role", "img")
    root.set("aria-label", chart.title)
    return ElementTree.tostring(root, encoding="unicode")


def _style(style: str) -> str:
    """Return a style with the theme's colours, and of a font only its size and weight: the page says which."""
    for name, (in_light, _) in COLOURS.items():
        style = style.replace(in_light, f"var(--{name})")
    return re.sub(r"font: *(bold |\d+ )?([\d.]+px)[^;]*", _font_style, style)


def _font_style(found: re.Match[str]) -> str:
    weight = "font-weight: bold; " if (found[1] or "").strip() in ("bold", "700") else ""
    return f"{weight}font-size: {found[2]}"
