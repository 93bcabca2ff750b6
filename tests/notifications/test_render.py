"""Texts of rules: what they may say, what they are refused for and where, and what a customer reads."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from marketplace.notifications import render
from marketplace.notifications.render import TemplateError, Text, Wording

DAY = date(2026, 11, 22)
ADA: dict[str, Any] = {
    "ref": "CUST-0001", "name": "Ada", "locale": "en_GB", "country": "GB", "time_zone": "Europe/London",
}  # fmt: skip
GAMES = {
    "games": [
        {"title": "Starforge", "release_date": date(2026, 11, 22)},
        {"title": "星の鍛冶 🌟", "release_date": date(2026, 11, 22)},
    ]
}


def said(body: str, event: str | None = None, facts: dict[str, Any] | None = None, **customer: Any) -> str:
    """Return what a customer reads of this body."""
    wording = Wording("RULE-7", event, [Text("en", "Subject", body)])
    return wording.render(ADA | customer, DAY, facts or {}).body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Hello {{ customer.name }}!", "Hello Ada!"),
        ("Hello {{ customer['name'] }}!", "Hello Ada!"),
        ("{{ customer.name | upper }} {{ customer.ref | lower }}", "ADA cust-0001"),
        ("Today is {{ day | date }}.", "Today is 22 November 2026."),
        ("{{ 'British' if customer.country == 'GB' else 'foreign' }}", "British"),
        (
            "{% if customer.country in ['DE', 'AT'] %}Hallo{% elif customer.country %}Hello{% else %}?{% endif %}",
            "Hello",
        ),
        ("{% if not customer.name %}a{% elif customer.ref != 'x' and customer.name %}b{% endif %}", "b"),
        ("{# not said #}{{ 'a' }}\n{% raw %}{{ customer.x }}{% endraw %}", "a\n{{ customer.x }}"),
        ("{% for game in [] %}{% endfor %}", None),
    ],
)
def test_a_text_says(body: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(TemplateError, match="a list is not allowed here"):
            said(body)
    else:
        assert said(body) == expected


@pytest.mark.parametrize(
    ("event", "facts", "body", "expected"),
    [
        (
            "game_released", GAMES,
            "{{ games | count }}: {% for game in games %}{{ loop.index }}. {{ game.title }}"
            "{% if not loop.last %}, {% endif %}{% endfor %}",
            "2: 1. Starforge, 2. 星の鍛冶 🌟",
        ),
        ("game_released", GAMES, "{{ games[0].title }} on {{ games[0].release_date | date }}",
         "Starforge on 22 November 2026"),
        ("game_released", GAMES, "{% for game in games if game.title != 'Starforge' %}{{ game.title }}{% endfor %}",
         "星の鍛冶 🌟"),
        (
            "refund_processed",
            {"refunds": [{"transaction_id": "T-1", "amount": Decimal("1234.50"), "currency": "EUR",
                          "occurred_at": datetime(2026, 11, 22, 23, 30, tzinfo=UTC)}]},
            "{% for refund in refunds %}{{ refund.amount | money(refund.currency) }} on {{ refund.occurred_at | date }}"
            "{% endfor %}",
            "€1,234.50 on 22 November 2026",
        ),
        ("account_anniversary", {"years": 10}, "{% if years >= 10 %}{{ years }} years!{% endif %}", "10 years!"),
        ("publisher_paid", {"publishers": ["Valve", "Sega"]},
         "{{ publishers[0] }}:{% for name in publishers %} {{ name }}{% endfor %}", "Valve: Valve Sega"),
    ],
)  # fmt: skip
def test_an_event_brings_its_own_variables(event: str, facts: dict[str, Any], body: str, expected: str) -> None:
    assert said(body, event, facts) == expected


def test_a_day_of_an_event_is_the_customers() -> None:
    refunds = {
        "refunds": [{"transaction_id": "T", "amount": Decimal(1), "currency": "EUR",
                     "occurred_at": datetime(2026, 11, 22, 23, 30, tzinfo=UTC)}]
    }  # fmt: skip
    body = "{{ refunds[0].occurred_at | date }} {{ day | date }}"
    assert said(body, "refund_processed", refunds, time_zone="Asia/Tokyo") == "23 November 2026 22 November 2026"
    assert said(body, "refund_processed", refunds, time_zone=None) == "22 November 2026 22 November 2026"


@pytest.mark.parametrize(
    ("locale", "chosen", "day", "amount"),
    [
        ("de_AT", "de_AT", "22. November 2026", "€\xa01.234,50"),
        ("de_CH", "de", "22. November 2026", "EUR\xa01’234.50"),
        ("de", "de", "22. November 2026", "1.234,50\xa0€"),
        ("de_Latn_AT", "de", "22. November 2026", "€\xa01.234,50"),
        ("fr_FR", "en", "November 22, 2026", "€1,234.50"),  # in the language of the words around it
        ("en_GB", "en", "22 November 2026", "€1,234.50"),
        (None, "en", "November 22, 2026", "€1,234.50"),
        ("xx_XX", "en", "November 22, 2026", "€1,234.50"),
    ],
)
def test_the_locale_decides_the_text_the_date_and_the_amount(
    locale: str | None, chosen: str, day: str, amount: str
) -> None:
    body = "{{ day | date }} / {{ refunds[0].amount | money(refunds[0].currency) }}"
    texts = [Text(name, name or "", body) for name in ("en", "de", "de-AT")]
    facts = {"refunds": [{"amount": Decimal("1234.50"), "currency": "EUR"}]}
    rendered = Wording("RULE-7", "refund_processed", texts).render(ADA | {"locale": locale}, DAY, facts)
    assert rendered.locale.replace("-", "_") == chosen
    assert rendered.body.split(" / ") == [day, amount]


def test_what_is_missing_is_nothing_and_has_a_default() -> None:
    missing = {"name": None, "country": None, "locale": None}
    assert said("Hi {{ customer.name }}.", **missing) == "Hi ."
    assert said("Hi {{ customer.name | default('you') }}, {{ customer.name or 'you' }}.", **missing) == "Hi you, you."
    assert said("{{ customer.name | upper | trim }}{% if customer.country in ['DE'] %}x{% endif %}", **missing) == ""


def test_a_name_is_only_data() -> None:
    hostile = "{{ 7 * 7 }}{% for a in b %}<script>\n\u202e"
    wording = Wording("RULE-7", None, [Text("en", "For {{ customer.name }}", "For {{ customer.name }}")])
    rendered = wording.render(ADA | {"name": hostile}, DAY, {})
    assert rendered.body == f"For {hostile}"
    assert rendered.subject == "For {{ 7 * 7 }}{% for a in b %}<script> \u202e"


def test_a_subject_is_one_line() -> None:
    wording = Wording("R", None, [Text("en", "Hello\r\n  {{ customer.name }}\u2028!", "x")])
    assert wording.render(ADA, DAY, {}).subject == "Hello Ada !"


REFUSED = [
    # an error in the syntax, and names that do not exist
    ("a\n{{ customer.name", "line 2: unexpected end of template"),
    ("a\n\n{% if customer.name %}", "line 3: Unexpected end of template"),
    ("a\n{{ custommer.name }}", "line 2: unknown variable custommer; there are customer, day, games"),
    ("a\n\n{{ customer.nmae }}", "line 3: unknown variable customer.nmae; there are country, locale, name, ref"),
    ("{{ customer.email }}", "line 1: unknown variable customer.email"),
    ("{% if false %}\n{{ nobody }}{% endif %}", "line 2: unknown variable nobody"),
    ("{{ game.title }}", "line 1: unknown variable game"),
    ("{% for game in games %}{% endfor %}\n{{ game.title }}", "line 2: unknown variable game"),
    ("{% for game in games %}\n{{ game.price }}{% endfor %}", "line 2: unknown variable game.price"),
    ("{{ customer.name | uper }}", "line 1: unknown filter uper; there are count, date, default"),
    ("{{ day | date('%Y') }}", "line 1: the filter date takes no argument"),
    ("{{ customer.name | date }}", "line 1: the filter date is for date, and this is text"),
    ("{{ day }}", r"line 1: a date is written with the filter date, as in \{\{ day | date \}\}"),
    ("{{ customer }}", "line 1: only a text or a number can be written"),
    ("{{ games }}", "line 1: only a text or a number can be written, and this is a list"),
    ("{{ customer.name > 'x' }}", "line 1: only numbers are smaller or greater"),
    ("{{ 'x' if day == 'x' else 'y' }}", "line 1: only what is of one kind can be compared"),
    ("{{ 'x' if customer.name }}", "line 1: an if in a line needs its else"),
    # out of the sandbox
    ("{{ customer.__class__ }}", "line 1: unknown variable customer.__class__"),
    ("{{ customer['__class__'] }}", "line 1: unknown variable customer.__class__"),
    ("{{ ''.__class__.__mro__ }}", "line 1: unknown variable __class__: text has no fields"),
    ("{{ customer.name.__init__.__globals__ }}", "line 1: unknown variable __init__: text has no fields"),
    ("{{ customer.name.format }}", "line 1: unknown variable format: text has no fields"),
    ("{{ customer.items }}", "line 1: unknown variable customer.items"),
    ("{{ self }}", "line 1: unknown variable self"),
    ("{{ self.__init__ }}", "line 1: unknown variable self"),
    ("{{ _reader.locale }}", "line 1: unknown variable _reader"),
    ("{{ cycler.__init__ }}", "line 1: unknown variable cycler"),
    ("{{ customer.name | attr('__class__') }}", "line 1: unknown filter attr"),
    ("{{ [customer] | map(attribute='__class__') }}", "line 1: unknown filter map"),
    ("{{ customer.name.upper() }}", "line 1: a call is not allowed here"),
    ("{{ ''.join(games) }}", "line 1: a call is not allowed here"),
    ("{{ loop }}", "line 1: unknown variable loop"),
    ("{% for game in games %}{{ loop.__class__ }}{% endfor %}", "line 1: unknown variable loop.__class__"),
    ("{% for game in games %}{{ loop.cycle('a') }}{% endfor %}", "line 1: a call is not allowed here"),
    ("{% for customer in games %}{% endfor %}", "line 1: the loop's variable cannot be called customer"),
    ("{% for loop in games %}{{ loop.title }}{% endfor %}", "line 1: "),
    ("{% for _reader in games %}{{ day | date }}{% endfor %}", "line 1: the loop's variable cannot be called _reader"),
    ("{% for a, b in games %}{% endfor %}", "line 1: a loop has one variable"),
    ("a\n{% set day = 1 %}", "line 2: set is not allowed here; there are if and for"),
    ("{% set day %}x{% endset %}", "line 1: set is not allowed here"),
    ("{% macro a() %}{{ a() }}{% endmacro %}", "line 1: macro is not allowed here"),
    ("{% call a() %}{% endcall %}", "line 1: call is not allowed here"),
    ("{% filter upper %}a{% endfilter %}", "line 1: filter is not allowed here"),
    ("{% include '/etc/passwd' %}", "line 1: include is not allowed here"),
    ("{% import 'os' as os %}", "line 1: import is not allowed here"),
    ("{% from 'os' import system %}", "line 1: from is not allowed here"),
    ("{% extends 'base' %}", "line 1: extends is not allowed here"),
    ("{% block a %}{{ self.a() }}{% endblock %}", "line 1: block is not allowed here"),
    ("{% with a = customer %}{% endwith %}", "line 1: with is not allowed here"),
    ("{% autoescape true %}{% endautoescape %}", "line 1: autoescape is not allowed here"),
    ("{% do customer.clear() %}", "line 1: Encountered unknown tag 'do'"),
    ("{{ customer is mapping }}", "line 1: "),
    # without end, or without bound
    ("{% for i in range(999999999) %}x{% endfor %}", "line 1: a call is not allowed here"),
    ("{% for c in customer.name %}x{% endfor %}", "line 1: a loop goes over a list, and this is text"),
    ("{% for a in games %}{% for b in games %}x{% endfor %}{% endfor %}", "line 1: a loop within a loop"),
    ("{% for a in games recursive %}{{ loop(games) }}{% endfor %}", "line 1: a recursive loop is not allowed"),
    ("{{ 'x' * 999999999 }}", "line 1: arithmetic is not allowed here"),
    ("{{ 9 ** 9 ** 9 }}", "line 1: arithmetic is not allowed here"),
    ("{{ 'a' ~ 'b' }}", "line 1: the operator ~ is not allowed here"),
    ("{{ '%999999999d' | format(1) }}", "line 1: unknown filter format"),
    ("{{ 'x' | center(999999999) }}", "line 1: unknown filter center"),
    ("{{ 1e999 }}", "line 1: a constant is a text, a whole number"),
    ("{{ 9999999999999999 }}", "line 1: a constant is a text, a whole number"),
    ("{{ " + "9" * 5000 + " }}", "line 1: "),
    ("{{ games[99].title }}", r"line 1: of a list there is \[0\]"),
    ("{{ games[0:9] }}", r"line 1: of a list there is \[0\]"),
    ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "line 1: it is nested too deep"),
    ("{{ " + "not " * 60 + "customer.name }}", "line 1: it is nested too deep"),
    ("{{ " + " or ".join(["customer.name"] * 60) + " }}", "line 1: it is nested too deep"),
    ("{% if customer.name %}" * 40 + "{% endif %}" * 40, "line 1: it is nested too deep"),
    ("x" * 10_001, "line 1: it has 10001 characters, and at most 10000 are allowed"),
]  # fmt: skip


@pytest.mark.parametrize("part", ["subject", "body"])
@pytest.mark.parametrize(("source", "reason"), REFUSED, ids=lambda value: repr(value)[:60])
def test_a_text_is_refused_before_anybody_is_notified_and_says_where(part: str, source: str, reason: str) -> None:
    text = Text("en", **({"subject": "s", "body": "b"} | {part: source}))
    begun = time.process_time()
    with pytest.raises(TemplateError, match=rf"^rule RULE-7, {part}, {reason}"):
        Wording("RULE-7", "game_released", [text])
    assert time.process_time() - begun < 1


def test_a_translation_is_named_by_its_locale() -> None:
    texts = [Text("en", "a", "b"), Text("de_AT", "a", "x\n{{ kunde }}")]
    with pytest.raises(TemplateError, match=r"^rule RULE-7, body in de_AT, line 2: unknown variable kunde"):
        Wording("RULE-7", None, texts)


def test_an_event_that_the_rule_does_not_wait_for_brings_nothing() -> None:
    with pytest.raises(TemplateError, match="unknown variable refunds"):
        Wording("R", "game_released", [Text("en", "a", "{{ refunds[0].amount }}")])


def test_a_text_that_grows_too_long_is_refused_with_its_part() -> None:
    long = Wording("R", "game_released", [Text("en", "a", "{% for game in games %}{{ game.title }}{% endfor %}")])
    with pytest.raises(
        TemplateError, match="rule R, body, line 1: rendered it has 20001 characters, and at most 20000"
    ):
        long.render(ADA, DAY, {"games": [{"title": "x" * 19_999, "release_date": DAY}, {"title": "yy"}]})
    subject = Wording("R", None, [Text("en", "{{ customer.name }}", "b")])
    assert len(subject.render(ADA | {"name": "é" * 500}, DAY, {}).subject) == 500
    with pytest.raises(TemplateError, match="rule R, subject, line 1: rendered it has 501 characters"):
        subject.render(ADA | {"name": "é" * 501}, DAY, {})


def test_what_goes_wrong_with_a_customer_names_the_line() -> None:
    wording = Wording("R", "game_released", [Text("en", "a", "b\n{{ games[0].release_date | date }}")])
    with pytest.raises(TemplateError, match=r"^rule R, body, line 2: "):
        wording.render(ADA, DAY, {"games": []})


def test_the_longest_item_fits_into_dynamodb() -> None:
    assert (render.MAX_BODY + render.MAX_SUBJECT) * 4 < 400 * 1024 * 0.5
