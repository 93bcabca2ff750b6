"""A rule's texts: checked before anything is rendered, then rendered for one customer after another.

Texts come from files, so they are read as a stranger's. Of Jinja they may use what `_Checker` knows and nothing else:
variables of a fixed context, `if`, a loop over one of its lists, comparisons, and the filters below. There is no call,
no arithmetic, no macro and no nested loop. So a text cannot run for long, grow without bound or reach an object that is
not in the context; and a name that does not exist is found, with its line, though no customer was rendered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency
from jinja2 import StrictUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

# Characters. A whole item is at most 400 KB in DynamoDB; of UTF-8 a character has at most 4 bytes.
MAX_SOURCE = 10_000
MAX_SUBJECT = 500
MAX_BODY = 20_000
MAX_DEPTH = 30
FALLBACK_LOCALE = "en"

TEXT, NUMBER, DATE, BOOLEAN = "text", "number", "date", "yes or no"


@dataclass(frozen=True)
class Fields:
    """What a variable has, by name."""

    of: Mapping[str, Any]


@dataclass(frozen=True)
class Each:
    """A list of such things: texts, or things with fields."""

    of: Any


# What a text may name, whatever the rule is for.
COMMON = {
    "customer": Fields({"ref": TEXT, "name": TEXT, "locale": TEXT, "country": TEXT}),
    "day": DATE,
}
# What it may name beside, by the event the rule waits for.
OF_EVENT: dict[str, dict[str, Any]] = {
    "game_released": {"games": Each(Fields({"title": TEXT, "release_date": DATE}))},
    "refund_processed": {
        "refunds": Each(Fields({"transaction_id": TEXT, "amount": NUMBER, "currency": TEXT, "occurred_at": DATE}))
    },
    "account_anniversary": {"years": NUMBER},
    "publisher_paid": {"publishers": Each(TEXT)},
}
_LOOP = Fields({"index": NUMBER, "first": BOOLEAN, "last": BOOLEAN, "length": NUMBER})


class TemplateError(ValueError):
    """A text of a rule cannot be rendered; the message names rule, subject or body, locale, line and reason."""

    def __init__(self, place: str, line: int, reason: str) -> None:
        super().__init__(f"{place}, line {line}: {reason}")


class Text(NamedTuple):
    """A rule's words in one language; the locale None is none in particular."""

    locale: str | None
    subject: str
    body: str


class Reader(NamedTuple):
    """For whom a text is rendered, as far as dates and amounts depend on it."""

    locale: Locale
    time_zone: str | None


def _reader(context: Context) -> Reader:
    reader: Reader = context.parent["_reader"]
    return reader


@pass_context
def _date(context: Context, value: date | datetime | None) -> str:
    if value is None:
        return ""
    reader = _reader(context)
    if isinstance(value, datetime):
        value = value.astimezone(_zone(reader.time_zone)).date()
    return _formatted_date(value, reader.locale)


@pass_context
def _money(context: Context, value: Decimal | None, currency: str | None) -> str:
    return "" if value is None else _formatted_money(value, currency or "XXX", _reader(context).locale)


@lru_cache(maxsize=4096)
def _formatted_date(value: date, locale: Locale) -> str:
    return format_date(value, format="long", locale=locale)


@lru_cache(maxsize=4096)
def _formatted_money(value: Decimal, currency: str, locale: Locale) -> str:
    return format_currency(value, currency, locale=locale)


@lru_cache(maxsize=1024)
def _zone(name: str | None) -> ZoneInfo | Any:
    return ZoneInfo(name) if name else UTC


class _Filter(NamedTuple):
    """A filter: what it is applied to, what its arguments are (all must be given), and what it gives."""

    takes: str | type[Each]
    arguments: tuple[str, ...]
    gives: str
    function: Callable[..., Any]


FILTERS = {
    "date": _Filter(DATE, (), TEXT, _date),
    "money": _Filter(NUMBER, (TEXT,), TEXT, _money),
    "upper": _Filter(TEXT, (), TEXT, lambda text: (text or "").upper()),
    "lower": _Filter(TEXT, (), TEXT, lambda text: (text or "").lower()),
    "trim": _Filter(TEXT, (), TEXT, lambda text: (text or "").strip()),
    "default": _Filter(TEXT, (TEXT,), TEXT, lambda text, other: text or other),
    "count": _Filter(Each, (), NUMBER, len),
}


class _Checker:
    """Walks through a parsed text, and refuses what is not known; `place` says where it stands."""

    def __init__(self, place: str, known: Mapping[str, Any]) -> None:
        self._place = place
        self._known = known
        self._loops = 0

    def check(self, template: nodes.Template) -> None:
        """Raise TemplateError for the first thing that a text may not have."""
        self._statements(template.body, self._known, 0)

    def _refuse(self, node: nodes.Node, reason: str) -> TemplateError:
        # What Jinja wraps around a block has no line of its own.
        lines = (one.lineno for one in (node, *node.find_all(nodes.Node)) if one.lineno)
        return TemplateError(self._place, next(lines, 1), reason)

    def _statements(self, body: Iterable[nodes.Node], known: Mapping[str, Any], depth: int) -> None:
        if depth > MAX_DEPTH // 3:
            raise TemplateError(self._place, next(iter(body)).lineno, "it is nested too deep")
        for node in body:
            if isinstance(node, nodes.Output):
                for part in node.nodes:
                    if not isinstance(part, nodes.TemplateData):
                        self._printable(part, known)
            elif isinstance(node, nodes.If):
                for branch in (node, *node.elif_):
                    self._type(branch.test, known)
                    self._statements(branch.body, known, depth + 1)
                self._statements(node.else_, known, depth + 1)
            elif isinstance(node, nodes.For):
                self._loop(node, known, depth)
            else:
                raise self._refuse(node, f"{_tag(node)} is not allowed here; there are if and for")

    def _loop(self, node: nodes.For, known: Mapping[str, Any], depth: int) -> None:
        over = self._type(node.iter, known)
        if self._loops:
            raise self._refuse(node, "a loop within a loop is not allowed")
        if not isinstance(over, Each):
            raise self._refuse(node, f"a loop goes over a list, and this is {_name(over)}")
        if not isinstance(node.target, nodes.Name):
            raise self._refuse(node, "a loop has one variable")
        if node.recursive:
            raise self._refuse(node, "a recursive loop is not allowed")
        if node.target.name in known or node.target.name.startswith("_"):
            raise self._refuse(node, f"the loop's variable cannot be called {node.target.name}")
        inside = {**known, node.target.name: over.of, "loop": _LOOP}
        self._loops += 1
        if node.test is not None:
            self._type(node.test, {**known, node.target.name: over.of})
        self._statements(node.body, inside, depth + 1)
        self._loops -= 1
        self._statements(node.else_, known, depth + 1)

    def _printable(self, node: nodes.Expr, known: Mapping[str, Any]) -> None:
        found = self._type(node, known)
        if found == DATE:
            raise self._refuse(node, "a date is written with the filter date, as in {{ day | date }}")
        if found not in (TEXT, NUMBER):
            raise self._refuse(node, f"only a text or a number can be written, and this is {_name(found)}")

    def _type(self, node: nodes.Node, known: Mapping[str, Any], depth: int = 0) -> Any:
        """Return what an expression gives; raises TemplateError when it has anything that is not allowed."""
        if depth > MAX_DEPTH:
            raise self._refuse(node, "it is nested too deep")
        kind = type(node).__name__
        check = getattr(self, f"_{kind.lower()}", None) if kind in _EXPRESSIONS else None
        if check is None:
            raise self._refuse(node, f"{_EXPLAINED.get(kind, kind)} is not allowed here")
        return check(node, known, depth + 1)

    def _name(self, node: nodes.Name, known: Mapping[str, Any], _depth: int) -> Any:
        if node.name not in known:
            raise self._refuse(node, f"unknown variable {node.name}; there are {', '.join(sorted(known))}")
        return known[node.name]

    def _const(self, node: nodes.Const, _known: Mapping[str, Any], _depth: int) -> Any:
        if isinstance(node.value, bool):
            return BOOLEAN
        if isinstance(node.value, int) and abs(node.value) < 10**15:
            return NUMBER
        if isinstance(node.value, str):
            return TEXT
        raise self._refuse(node, "a constant is a text, a whole number below 10^15, true or false")

    def _getattr(self, node: nodes.Getattr, known: Mapping[str, Any], depth: int) -> Any:
        return self._field(node, node.attr, known, depth)

    def _getitem(self, node: nodes.Getitem, known: Mapping[str, Any], depth: int) -> Any:
        index = node.arg.value if isinstance(node.arg, nodes.Const) else None
        if isinstance(index, str):
            return self._field(node, index, known, depth)
        of = self._type(node.node, known, depth)
        # A rule that waits for an event is for those for whom there was one.
        if index == 0 and index is not False and isinstance(of, Each):
            return of.of
        raise self._refuse(node, "of a list there is [0] and nothing else: a loop goes over all")

    def _field(self, node: nodes.Getattr | nodes.Getitem, name: str, known: Mapping[str, Any], depth: int) -> Any:
        of = self._type(node.node, known, depth)
        if not isinstance(of, Fields):
            raise self._refuse(node, f"unknown variable {_path(node, name)}: {_name(of)} has no fields")
        if name not in of.of:
            raise self._refuse(node, f"unknown variable {_path(node, name)}; there are {', '.join(sorted(of.of))}")
        return of.of[name]

    def _filter(self, node: nodes.Filter, known: Mapping[str, Any], depth: int) -> Any:
        found = FILTERS.get(node.name)
        if found is None or node.node is None:
            raise self._refuse(node, f"unknown filter {node.name}; there are {', '.join(sorted(FILTERS))}")
        if node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) != len(found.arguments):
            arguments = ", ".join(found.arguments) or "no argument"
            raise self._refuse(node, f"the filter {node.name} takes {arguments}")
        given = self._type(node.node, known, depth)
        if given != found.takes and not (found.takes is Each and isinstance(given, Each)):
            wanted = "a list" if found.takes is Each else found.takes
            raise self._refuse(node, f"the filter {node.name} is for {wanted}, and this is {_name(given)}")
        for argument, expected in zip(node.args, found.arguments, strict=True):
            if (type_ := self._type(argument, known, depth)) != expected:
                raise self._refuse(node, f"the filter {node.name} takes {expected}, and this is {_name(type_)}")
        return found.gives

    def _compare(self, node: nodes.Compare, known: Mapping[str, Any], depth: int) -> Any:
        left = self._type(node.expr, known, depth)
        for operand in node.ops:
            if operand.op in ("in", "notin"):
                if not isinstance(operand.expr, nodes.List):
                    raise self._refuse(node, 'in is followed by a list of constants, as in ["DE", "AT"]')
                rights = [self._const_of(node, item) for item in operand.expr.items]
            else:
                rights = [self._type(operand.expr, known, depth)]
            if any(right != left for right in rights) or not isinstance(left, str):
                raise self._refuse(node, "only what is of one kind can be compared")
            # What is ordered is never missing.
            if operand.op in ("lt", "lteq", "gt", "gteq") and left != NUMBER:
                raise self._refuse(node, "only numbers are smaller or greater")
        return BOOLEAN

    def _const_of(self, node: nodes.Compare, item: nodes.Expr) -> Any:
        if not isinstance(item, nodes.Const):
            raise self._refuse(node, 'in is followed by a list of constants, as in ["DE", "AT"]')
        return self._const(item, {}, 0)

    def _and(self, node: nodes.And | nodes.Or, known: Mapping[str, Any], depth: int) -> Any:
        left, right = self._type(node.left, known, depth), self._type(node.right, known, depth)
        return left if left == right else BOOLEAN

    _or = _and

    def _not(self, node: nodes.Not, known: Mapping[str, Any], depth: int) -> Any:
        self._type(node.node, known, depth)
        return BOOLEAN

    def _condexpr(self, node: nodes.CondExpr, known: Mapping[str, Any], depth: int) -> Any:
        self._type(node.test, known, depth)
        first = self._type(node.expr1, known, depth)
        if node.expr2 is None:
            raise self._refuse(node, "an if in a line needs its else")
        if self._type(node.expr2, known, depth) != first:
            raise self._refuse(node, "both ends of an if in a line must be of one kind")
        return first


_EXPRESSIONS = {"Name", "Const", "Getattr", "Getitem", "Filter", "Compare", "And", "Or", "Not", "CondExpr"}
_EXPLAINED = {
    "Call": "a call",
    "Test": "a test (is …)",
    "Dict": "a dictionary",
    "List": "a list",
    "Tuple": "a tuple",
    "Concat": "the operator ~",
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Neg", "Pos"), "arithmetic"),
}
# Keywords whose nodes are called otherwise.
_TAGS = {
    "CallBlock": "call",
    "FilterBlock": "filter",
    "Assign": "set",
    "AssignBlock": "set",
    "FromImport": "from",
    "Scope": "autoescape",
}


def _tag(node: nodes.Node) -> str:
    kind = type(node).__name__
    return _TAGS.get(kind, kind.lower())


def _name(of: Any) -> str:
    return {Fields: "a thing with fields", Each: "a list"}.get(type(of), of)


def _path(node: nodes.Getattr | nodes.Getitem, name: str) -> str:
    inner = node.node
    return f"{inner.name}.{name}" if isinstance(inner, nodes.Name) else name


def _written(value: Any) -> Any:
    return "" if value is None else value


_environment = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, finalize=_written, trim_blocks=True, lstrip_blocks=True, autoescape=False, cache_size=0
)
_environment.globals.clear()
_environment.tests.clear()
_environment.filters.clear()
_environment.filters.update({name: one.function for name, one in FILTERS.items()})


class _Part:
    """The subject or the body of a text, checked and compiled."""

    def __init__(self, place: str, source: str, known: Mapping[str, Any], limit: int) -> None:
        self._place = place
        self._limit = limit
        if len(source) > MAX_SOURCE:
            raise TemplateError(place, 1, f"it has {len(source)} characters, and at most {MAX_SOURCE} are allowed")
        try:
            parsed = _environment.parse(source)
            _Checker(place, known).check(parsed)
            self._template = _environment.from_string(parsed)
        except TemplateSyntaxError as error:
            raise TemplateError(place, error.lineno, _first_line(error.message)) from None
        except RecursionError:
            raise TemplateError(place, 1, "it is nested too deep") from None
        except (ValueError, SyntaxError, OverflowError) as error:
            if isinstance(error, TemplateError):
                raise
            raise TemplateError(place, 1, _first_line(str(error))) from None

    def context(self) -> Context:
        """Return what holds the variables of a rendering, still empty; it serves any part."""
        return self._template.new_context({})

    def render(self, context: Context) -> str:
        """Return the text. Raises TemplateError."""
        try:
            text = "".join(self._template.root_render_func(context)).strip()
        except Exception as error:
            raise self._failure(error) from error
        if len(text) > self._limit:
            raise TemplateError(
                self._place, 1, f"rendered it has {len(text)} characters, and at most {self._limit} are allowed"
            )
        return text

    def _failure(self, error: Exception) -> TemplateError:
        """Return the error that is being handled as the text's, whosever it is: Jinja finds its line."""
        try:
            _environment.handle_exception()
        except type(error) as found:
            return TemplateError(self._place, _line_of(found), _first_line(str(found)))


def _first_line(message: str | None) -> str:
    return (message or "it cannot be read").splitlines()[0]


def _line_of(error: Exception) -> int:
    """Return the line of the text in which an error was raised: Jinja writes its tracebacks so."""
    line, step = 1, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "<template>":
            line = step.tb_lineno
        step = step.tb_next
    return line


class Rendered(NamedTuple):
    """A notification in a customer's words."""

    locale: str
    subject: str
    body: str


class _Compiled(NamedTuple):
    locale: str
    subject: _Part
    body: _Part


class Wording:
    """A rule's texts, all of them checked; renders the one that suits a customer.

    `texts` begins with the rule's own, to which a customer falls back; `event` is what the rule waits for, None when it
    is a date. For one thread. Raises TemplateError for the first text that has a mistake.
    """

    def __init__(self, rule_id: str, event: str | None, texts: Sequence[Text]) -> None:
        known = {**COMMON, **OF_EVENT.get(event or "", {})}
        self._texts: dict[str, _Compiled] = {}
        for number, text in enumerate(texts):
            locale = text.locale or FALLBACK_LOCALE
            where = f"rule {rule_id}, {{}}" if number == 0 else f"rule {rule_id}, {{}} in {locale}"
            compiled = _Compiled(
                locale,
                _Part(where.format("subject"), text.subject, known, MAX_SUBJECT),
                _Part(where.format("body"), text.body, known, MAX_BODY),
            )
            self._texts.setdefault(_folded(locale), compiled)
            if number == 0:
                self._own = compiled
        self._chosen: dict[str | None, tuple[_Compiled, Locale]] = {}
        self._context = self._own.subject.context()  # of every rendering: a new one takes longer than the rest

    def render(self, customer: Mapping[str, Any], day: date, facts: Mapping[str, Any]) -> Rendered:
        """Return the notification for a customer (ref, name, locale, country, time_zone) on a day.

        `facts` are what of OF_EVENT the rule's event has. Raises TemplateError, which names rule, part and line.
        """
        chosen = self._chosen.get(customer["locale"])
        if chosen is None:
            chosen = self._chosen[customer["locale"]] = self._choose(customer["locale"])
        text, locale = chosen
        reader = Reader(locale, customer["time_zone"])
        # No text can set a variable, so these are all that there are.
        self._context.parent = {"customer": customer, "day": day, **facts, "_reader": reader}
        return Rendered(text.locale, _one_line(text.subject.render(self._context)), text.body.render(self._context))

    def _choose(self, wanted: str | None) -> tuple[_Compiled, Locale]:
        """Return the text for a locale (itself, its language, the rule's own), and how to write dates and amounts."""
        parts = _folded(wanted).split("_") if wanted else []
        for length in range(len(parts), 0, -1):
            text = self._texts.get("_".join(parts[:length]))
            if text is not None:
                return text, _locale(wanted) or _locale(text.locale) or Locale(FALLBACK_LOCALE)
        # In the language of the text, since it stands amid its words.
        return self._own, _locale(self._own.locale) or Locale(FALLBACK_LOCALE)


def _folded(locale: str) -> str:
    return locale.replace("-", "_").lower()


def _locale(name: str | None) -> Locale | None:
    try:
        return Locale.parse(name.replace("-", "_")) if name else None
    except (UnknownLocaleError, ValueError):
        return None


_BREAKS = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*")


def _one_line(text: str) -> str:
    return _BREAKS.sub(" ", text)
