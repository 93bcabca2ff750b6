"""What happens on the marketplace in an interval, as clean rows: customers, transactions, wishes and play sessions.

What happens is worked out by number: the n-th sale of an interval can be looked up without those before it, and so
can the sale that a refund undoes, days later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from marketplace.mockdata import places, rhythm
from marketplace.mockdata.draws import Draws, Numbers, Weights
from marketplace.mockdata.interval import OPENING, Interval
from marketplace.mockdata.rhythm import Schedule
from marketplace.mockdata.table import Table, Texts
from marketplace.mockdata.words import pooled
from marketplace.mockdata.world import (
    FIRST_SIGN_UPS,
    PRICES_A_CURRENCY,
    SLOTS,
    Day,
    World,
    amount_texts,
    clean,
    fee_of,
    moment_texts,
)

TRANSACTIONS_A_PART = 50_000
SALE, REFUND, PAYOUT = 0, 1, 2

# Of a thousand rows, catalogue and lines of transactions not counted.
_SALES, _PAYOUTS, _WISHES, _SESSIONS, _CUSTOMERS = 260, 5, 83, 208, 30

_LINES = Weights([70, 19, 8, 3])
_MOST_LINES = 4
# Of 400 sales, so many are refunded after one day, two days, ...
_REFUNDED = (3, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1)
_REFUNDS_OF = 400
# A payout is for so many sales.
_UNITS = Weights([20, 30, 25, 15, 7, 3])
_UNITS_FROM = np.array([1, 10, 40, 150, 600, 2500])
# A session lasts from so many seconds on, up to as long again and a bit.
_DURATIONS = Weights([8, 22, 30, 24, 12, 4])
_DURATIONS_FROM = np.array([60, 600, 1800, 3600, 7200, 14400])
_DAY = 86_400
_DEGREE = 100_000


class Part(NamedTuple):
    """A stretch of an interval: clean rows, each transaction together with its lines."""

    customer: Table
    transaction: Table
    transaction_detail: Table
    wishlist: Table
    play_session: Table


class Trade(NamedTuple):
    """Transactions, and their lines flat: `of` is the position of a line's transaction. Amounts are in hundredths."""

    kind: Numbers
    at: Numbers
    currency: Numbers
    customer: Numbers
    total: Numbers
    of: Numbers
    release: Numbers  # its number in the world
    region: Numbers
    price: Numbers  # its number among all prices, what is refunded after all that is paid; -1 for what has none
    gross: Numbers
    fee: Numbers


class Activity:
    """What happens in an interval."""

    def __init__(self, world: World, interval: Interval, rows: int) -> None:
        """Make an interval with about so many rows, if it is one of average activity.

        Raises ValueError if the interval begins before the marketplace opened, or cannot have so many rows.
        """
        if interval.start < OPENING:
            raise ValueError(f"Nothing is known from before {OPENING:%Y-%m-%d}, and the interval is {interval.code}.")
        if rows < 0:
            raise ValueError(f"There cannot be {rows} rows.")
        self.world, self.interval = world, interval
        self._draws = Draws(world.seed, interval.code, "activity")
        events = _without_catalogue(rows)
        self._sales = _Sales(world, interval, events)
        slots = self._sales.slots
        self._payouts = Schedule(slots, slots.office, events * _PAYOUTS, self._draws.stream("payout"))
        self._wishes = Schedule(slots, slots.level, events * _WISHES, self._draws.stream("wish"))
        self._sessions = Schedule(slots, slots.level, events * _SESSIONS, self._draws.stream("session"))
        self._customers = Schedule(slots, slots.level, events * _CUSTOMERS, self._draws.stream("customer")).count
        self._refunded = [_Refunds(world, interval, events, days, classes) for days, classes in _refund_classes()]
        transactions = self._sales.count + self._payouts.count + sum(refunds.count for refunds in self._refunded)
        self.part_count = max(1, -(-transactions // TRANSACTIONS_A_PART))
        if self.part_count > interval.first_second // _DAY - FIRST_SIGN_UPS:
            raise ValueError(f"{rows:,} rows are too many for {interval.code}: the marketplace has too few customers.")

    @property
    def games(self) -> Numbers:
        """The games that any row names, sorted."""
        return self._met[0]

    @property
    def publishers(self) -> Numbers:
        """The publishers that any row names, sorted."""
        return self._met[1]

    @cached_property
    def _met(self) -> tuple[Numbers, Numbers]:
        world = self.world
        games, publishers = (np.zeros(len(pool), dtype=bool) for pool in (world.titles, world.publisher_names))
        for part in range(self.part_count):
            for trade in self._trades(part):
                games[world.release_games[trade.release]] = True
                publishers[world.release_publishers[trade.release]] = True
            games[self._wished(part)[2]] = True
            games[self._played(part)[2]] = True
        return np.flatnonzero(games), np.flatnonzero(publishers)

    def parts(self) -> Iterator[Part]:
        """Yield the interval's rows, at most 50,000 transactions at a time."""
        number = 0
        for part in range(self.part_count):
            transaction, detail = self._transactions(part, number)
            number += len(transaction)
            yield Part(self._customer_rows(part), transaction, detail, self._wish_rows(part), self._session_rows(part))

    def _share(self, part: int, count: int) -> Numbers:
        """Return which of `count` numbers are the part's."""
        return np.arange(count * part // self.part_count, count * (part + 1) // self.part_count)

    # Transactions.

    def _trades(self, part: int) -> list[Trade]:
        return [
            self._sales.trade(self._share(part, self._sales.count)),
            *(refunds.trade(self._share(part, refunds.count)) for refunds in self._refunded),
            self._paid_out(self._share(part, self._payouts.count)),
        ]

    def _paid_out(self, numbers: Numbers) -> Trade:
        """Return payouts: a publisher's share of what some of its releases brought in."""
        world, draws = self.world, self._draws.stream("payout")
        _, at = self._payouts.at(numbers)
        days = _Days(world, at)
        lead = days.release(draws.stream("lead"), numbers, days.sold(draws.stream("game"), numbers))
        publisher = world.release_publishers[lead]
        starts, out = world.published_on(publisher, at // _DAY)
        lines = np.minimum(1 + draws.stream("lines").below(numbers, _MOST_LINES), out)
        of, line = _spread(lines)
        number = numbers[of] * _MOST_LINES + line
        first = draws.stream("first").below(numbers, out)
        release = world.published[starts[of] + (first[of] + line) % out[of]]
        units = _UNITS_FROM[draws.stream("units").pick(number, _UNITS)]
        units += draws.stream("more units").below(number, units * 3)
        currency = world.publisher_currencies[publisher]
        price = days.of(of).price(world.release_games[release])
        gross = world.gross[currency[of] * PRICES_A_CURRENCY + price] * units
        fee = fee_of(gross, places.CURRENCY_IS_WHOLE[currency[of]])
        return Trade(
            kind=np.full(len(numbers), PAYOUT),
            at=at,
            currency=currency,
            customer=np.full(len(numbers), -1),
            total=-_sums(gross - fee, of, len(numbers)),
            of=of,
            release=release,
            region=np.full(len(of), places.GLOBAL),
            price=np.full(len(of), -1),
            gross=-gross,
            fee=-fee,
        )

    def _transactions(self, part: int, first: int) -> tuple[Table, Table]:
        """Return the part's transactions, numbered from `first` in the order of time, and their lines."""
        trades = self._trades(part)
        before = np.cumsum([0, *(len(trade.at) for trade in trades)])
        of = np.concatenate([trade.of + offset for trade, offset in zip(trades, before[:-1], strict=True)])
        columns = {
            name: np.concatenate([getattr(trade, name) for trade in trades]) for name in Trade._fields if name != "of"
        }
        order = np.argsort(columns["at"], kind="stable")
        position = np.empty(len(order), dtype=np.int64)
        position[order] = np.arange(len(order))
        kind, at, currency, customer, total = (
            columns[name][order] for name in ("kind", "at", "currency", "customer", "total")
        )
        of = position[of]
        lines = np.argsort(of, kind="stable")
        of = of[lines]
        release, region, price, gross, fee = (
            columns[name][lines] for name in ("release", "region", "price", "gross", "fee")
        )
        counts = np.bincount(of, minlength=len(order))
        starts = np.cumsum(counts) - counts

        world, code, seed = self.world, self.interval.code, self.world.seed
        numbers = first + np.arange(len(order))
        ids = _numbered(f"TXN-{seed:04d}-{code}-", first, len(numbers))
        refs = np.full(len(order), "PLATFORM", dtype=object)
        bought = customer >= 0
        refs[bought] = world.customer_refs(customer[bought])
        transaction = clean(
            "transaction",
            Draws(seed, code, "transaction"),
            numbers,
            {
                "transaction_id": ids,
                "txn_type": _KINDS.take(kind),
                "txn_ts": moment_texts(at),
                "currency": _CURRENCIES.take(currency),
                "total_amount": _money(world.price_texts[0], np.where(counts == 1, price[starts], -1), total),
                "customer_ref": refs,
            },
            {"kind": kind, "at": at, "currency": currency, "total": total, "customer": customer},
        )
        line = np.arange(len(of)) - starts[of]
        game, publisher = world.release_games[release], world.release_publishers[release]
        platform = world.release_platforms[release]
        nothing = np.full(len(of), -1)
        detail = clean(
            "transaction_detail",
            Draws(seed, code, "transaction_detail"),
            numbers[of] * _MOST_LINES + line,
            {
                "transaction_id": ids.take(of),
                "line_no": _LINE_NUMBERS.take(line),
                "game_ref": world.first_game_ids.take(game),
                "publisher_ref": world.first_publisher_ids.take(publisher),
                "region": _REGIONS.take(region),
                "platform": _PLATFORMS.take(platform),
                "gross_amount": _money(world.price_texts[0], price, gross),
                "platform_fee": _money(world.price_texts[1], price, fee),
                "net_amount": _money(world.price_texts[2], price, gross - fee),
            },
            {
                "parent": numbers[of],
                "kind": kind[of],
                "game": game,
                "publisher": publisher,
                "platform": platform,
                "region": region,
                "gross": gross,
                "fee": fee,
                "net": gross - fee,
                "game_alias": game * SLOTS,
                "game_title": nothing,
                "publisher_alias": publisher * SLOTS,
                "publisher_name": nothing,
            },
        )
        return transaction, detail

    # Customers, wishes, sessions.

    def _customer_rows(self, part: int) -> Table:
        """Return who signed up, and customers from before whose details are exported again."""
        world, seed, code = self.world, self.world.seed, self.interval.code
        first = self.interval.first_second
        everyone = world.sign_ups(first, first + self.interval.minutes * 60)
        # Where there are more than asked for, the others are known by what they do alone.
        count = min(len(everyone), self._customers)
        new = everyone[np.arange(count) * len(everyone) // max(count, 1)]
        numbers = self._share(part, self._customers)
        signed = numbers[numbers < len(new)]
        again = numbers[numbers >= len(new)]
        today = first // _DAY
        from_ = int(self._draws.stream("customer").below(np.zeros(1, dtype=np.int64), 2**31)[0])
        customers = np.concatenate([new[signed], world.older_customers(today, from_, again)])
        opted_in = self._draws.stream("opt-in").chance(numbers, 0.55)
        text = world.customer_texts(customers, opted_in)
        facts = {"customer": customers, "at": world.signed_up(customers)}
        return clean("customer", Draws(seed, code, "customer"), numbers, text, facts)

    def _wished(self, part: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Return number, customer, game and time of wishes; nobody wishes for a game twice."""
        draws, numbers = self._draws.stream("wish"), self._share(part, self._wishes.count)
        slot, at = self._wishes.at(numbers)
        days = _Days(self.world, at)
        game = days.wished(draws.stream("game"), numbers)
        today = self.interval.first_second // _DAY
        customer = self.world.customers_in(
            self._wishes.city(numbers, slot), today, draws, numbers, part, self.part_count
        )
        _, once = np.unique(customer * len(self.world.titles) + game, return_index=True)
        once.sort()
        return numbers[once], customer[once], game[once], at[once]

    def _wish_rows(self, part: int) -> Table:
        world, (numbers, customer, game, at) = self.world, self._wished(part)
        return clean(
            "wishlist",
            Draws(world.seed, self.interval.code, "wishlist"),
            numbers,
            {
                "customer_ref": world.customer_refs(customer),
                "game_ref": world.first_game_ids.take(game),
                "added_at": moment_texts(at),
            },
            {
                "customer": customer,
                "game": game,
                "game_alias": game * SLOTS,
                "game_title": np.full(len(game), -1),
                "at": at,
            },
        )

    def _played(self, part: int) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers]:
        """Return number, city, game, release and time of play sessions."""
        draws, numbers = self._draws.stream("session"), self._share(part, self._sessions.count)
        slot, at = self._sessions.at(numbers)
        days = _Days(self.world, at)
        game = days.sold(draws.stream("game"), numbers)
        return numbers, self._sessions.city(numbers, slot), game, days.release(draws, numbers, game), at

    def _session_rows(self, part: int) -> Table:
        world, seed, code, draws = self.world, self.world.seed, self.interval.code, self._draws.stream("session")
        numbers, city, game, release, at = self._played(part)
        customer = world.customers_in(city, self.interval.first_second // _DAY, draws, numbers)
        platform = world.release_platforms[release]
        least = _DURATIONS_FROM[draws.stream("duration").pick(numbers, _DURATIONS)]
        duration = least + draws.stream("longer").below(numbers, least + 600)
        where = places.cities()
        latitude = where.latitude[city] + _around(draws.stream("latitude"), numbers)
        longitude = where.longitude[city] + _around(draws.stream("longitude"), numbers)
        return clean(
            "play_session",
            Draws(seed, code, "play_session"),
            numbers,
            {
                "session_id": _numbered(
                    f"SES-{seed:04d}-{code}-", int(numbers[0]) if len(numbers) else 0, len(numbers)
                ),
                "customer_ref": world.customer_refs(customer),
                "game_ref": world.first_game_ids.take(game),
                "platform": _PLATFORMS.take(platform),
                "started_at": moment_texts(at),
                "duration_s": _WHOLES.take(duration),
                "latitude": _degree_texts(latitude),
                "longitude": _degree_texts(longitude),
            },
            {
                "customer": customer,
                "game": game,
                "game_alias": game * SLOTS,
                "game_title": np.full(len(game), -1),
                "at": at,
                "platform": platform,
                "duration": duration,
                "latitude": latitude,
                "longitude": longitude,
            },
        )


class _Sales:
    """The sales of an interval, each to be looked up by its number."""

    def __init__(self, world: World, interval: Interval, events: int) -> None:
        self.world, self.interval = world, interval
        self.draws = Draws(world.seed, interval.code, "activity", "sale")
        self.slots = rhythm.slots(world.seed, interval)
        self._schedule = Schedule(self.slots, self.slots.level, events * _SALES, self.draws)
        self.count = self._schedule.count

    def trade(self, numbers: Numbers) -> Trade:
        """Return the sales of these numbers."""
        world, draws = self.world, self.draws
        slot, at = self._schedule.at(numbers)
        city = self._schedule.city(numbers, slot)
        customer = world.customers_in(city, self.interval.first_second // _DAY, draws, numbers)
        countries = places.cities().country[city]
        currency = places.markets().currency[countries]
        of, line = _spread(1 + draws.stream("lines").pick(numbers, _LINES))
        number = numbers[of] * _MOST_LINES + line
        days = _Days(world, at).of(of)
        game = _unlike(of, days.sold(draws.stream("game"), number), days.released)
        price = currency[of] * PRICES_A_CURRENCY + days.price(game)
        gross = world.gross[price]
        return Trade(
            kind=np.full(len(numbers), SALE),
            at=at,
            currency=currency,
            customer=customer,
            total=_sums(gross, of, len(numbers)),
            of=of,
            release=days.release(draws.stream("release"), number, game),
            region=_regions(draws.stream("region"), number, countries[of]),
            price=price,
            gross=gross,
            fee=world.fees[price],
        )


class _Refunds:
    """The refunds in an interval of what was bought some days before.

    The sales of every interval are dealt to 400 classes; those of some classes come back after one day, of others
    after two, and so on: so the j-th refund's sale is found by division, and no sale comes back twice.
    """

    def __init__(self, world: World, interval: Interval, events: int, days: int, classes: range) -> None:
        earlier = interval.earlier(days)
        self._interval = interval
        self._days = days
        self._sales = _Sales(world, earlier, events)
        shift = Draws(world.seed, earlier.code, "refunds").key % _REFUNDS_OF
        self._firsts = np.sort((np.array(classes) + shift) % _REFUNDS_OF)
        full, rest = divmod(self._sales.count if earlier.start >= OPENING else 0, _REFUNDS_OF)
        self.count = full * len(self._firsts) + int((self._firsts < rest).sum())

    def trade(self, numbers: Numbers) -> Trade:
        """Return the refunds of these numbers, each of one line of its sale."""
        sold = numbers // len(self._firsts) * _REFUNDS_OF + self._firsts[numbers % len(self._firsts)]
        sales, draws = self._sales.trade(sold), self._sales.draws.stream("refund")
        lines = np.bincount(sales.of, minlength=len(sold))
        line = np.cumsum(lines) - lines + draws.stream("line").below(sold, lines)
        # At about the same hour, in the same quarter of it: the interval may be no longer.
        begin, end = self._interval.first_second, self._interval.first_second + self._interval.minutes * 60
        same = sales.at + self._days * _DAY
        first, last = np.maximum(same // 900 * 900, begin), np.minimum(same // 900 * 900 + 900, end)
        return Trade(
            kind=np.full(len(sold), REFUND),
            at=first + draws.below(sold, last - first),
            currency=sales.currency,
            customer=sales.customer,
            total=-sales.gross[line],
            of=np.arange(len(sold)),
            release=sales.release[line],
            region=sales.region[line],
            price=sales.price[line] + len(self._sales.world.gross),
            gross=-sales.gross[line],
            fee=-sales.fee[line],
        )


def _refund_classes() -> Iterator[tuple[int, range]]:
    first = 0
    for days, count in enumerate(_REFUNDED, start=1):
        yield days, range(first, first + count)
        first += count


class _Days:
    """The world on the days of some events, so that each event sees its own."""

    def __init__(self, world: World, at: Numbers) -> None:
        self._world = world
        days = at // _DAY
        first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
        self._days: list[Day] = [world.day(day) for day in range(first, last + 1)]
        self._position = days - first

    def of(self, positions: Numbers) -> _Days:
        """Return the same for the events at these positions, which may repeat."""
        taken = object.__new__(_Days)
        taken._world, taken._days, taken._position = self._world, self._days, self._position[positions]
        return taken

    @property
    def released(self) -> Numbers:
        """How many games are out."""
        return np.array([day.released for day in self._days])[self._position]

    def sold(self, draws: Draws, numbers: Numbers) -> Numbers:
        """Return a game that is bought or played."""
        return self._picked(draws, numbers, [day.sold for day in self._days])

    def wished(self, draws: Draws, numbers: Numbers) -> Numbers:
        """Return a game that is wished for."""
        return self._picked(draws, numbers, [day.wished for day in self._days])

    def _picked(self, draws: Draws, numbers: Numbers, sums: list[Numbers]) -> Numbers:
        totals = np.array([int(up_to[-1]) for up_to in sums])
        before = np.cumsum(totals) - totals
        flat = np.concatenate([up_to + offset for up_to, offset in zip(sums, before.tolist(), strict=True)])
        picked = before[self._position] + draws.below(numbers, totals[self._position])
        return np.searchsorted(flat, picked, side="right") % len(sums[0])

    def price(self, games: Numbers) -> Numbers:
        """Return the position of each game's price in a currency's list."""
        return np.stack([day.price for day in self._days])[self._position, games]

    def release(self, draws: Draws, numbers: Numbers, games: Numbers) -> Numbers:
        """Return one of the releases of each game that are out; the first twice as likely as any other."""
        out = np.stack([day.open for day in self._days])[self._position, games]
        return self._world.release_starts[games] + np.maximum(draws.below(numbers, out + 1) - 1, 0)


def _without_catalogue(rows: int) -> int:
    """Return how many of `rows` are no publisher or game: x where x + 4600 x / (x + 7500) = rows, as was measured."""
    excess = rows - 7500 - 4600
    return (excess + math.isqrt(excess**2 + 4 * 7500 * rows)) // 2


def _spread(counts: Numbers) -> tuple[Numbers, Numbers]:
    """Return for as many lines as each has: whose it is, and the how manieth, from 0."""
    of = np.repeat(np.arange(len(counts)), counts)
    return of, np.arange(len(of)) - (np.cumsum(counts) - counts)[of]


def _unlike(of: Numbers, games: Numbers, released: Numbers) -> Numbers:
    """Return the games, with another one in place of each that its transaction has in a line before."""
    again = np.ones(1, dtype=bool)
    while again.any():
        for back in range(1, _MOST_LINES):
            again = (of[back:] == of[:-back]) & (games[back:] == games[:-back])
            if again.any():
                rows = np.flatnonzero(again) + back
                games[rows] = (games[rows] + 1) % released[rows]
                break
    return games


def _regions(draws: Draws, numbers: Numbers, countries: Numbers) -> Numbers:
    """Return the region under which a sale in each of these countries is reported."""
    markets = places.markets()
    return markets.regions[markets.region_starts[countries] + draws.below(numbers, markets.region_counts[countries])]


def _sums(values: Numbers, of: Numbers, count: int) -> Numbers:
    """Return the sum of the values of each; they are in its order, and each has one at least."""
    starts = np.searchsorted(of, np.arange(count))
    return np.add.reduceat(values, starts) if count else np.zeros(0, dtype=np.int64)


def _around(draws: Draws, numbers: Numbers) -> Numbers:
    """Return how far from a city's centre something is, in 1e-5 degrees: mostly near, 0.3 degrees at most."""
    return sum((draws.stream(index).below(numbers, 20_001) - 10_000 for index in range(3)), np.zeros(1, dtype=np.int64))


_KINDS = pooled(["sale", "refund", "payout"])
_CURRENCIES, _REGIONS, _PLATFORMS = (
    pooled(list(names)) for names in (places.CURRENCIES, places.REGIONS, places.PLATFORMS)
)
_LINE_NUMBERS = pooled([str(number + 1) for number in range(_MOST_LINES)])
_WHOLES = pooled([str(number) for number in range(30_000)])
_TAILS = pooled([f"{number:03d}" for number in range(1000)])
_DEGREES = pooled([f"{sign}{number}" for sign in ("", "-") for number in range(181)])
_BEHIND = pooled([f".{number:05d}".rstrip("0").rstrip(".") for number in range(_DEGREE)])


def _numbered(prefix: str, first: int, count: int) -> Texts:
    """Return so many ids in a row: the prefix and seven digits, or more if the number has more."""
    heads = pooled([f"{prefix}{head:04d}" for head in range(first // 1000, -(-(first + count) // 1000))])
    return np.add.outer(heads, _TAILS).ravel()[first % 1000 : first % 1000 + count]


def _money(pool: Texts, price: Numbers, amounts: Numbers) -> Texts:
    """Return the texts of amounts, taken from the pool where it has a price for them."""
    texts = pool.take(price)
    other = np.flatnonzero(price < 0)
    texts[other] = amount_texts(amounts[other])
    return texts


def _degree_texts(positions: Numbers) -> Texts:
    """Return coordinates in 1e-5 degrees as the shortest text of the number, such as 48.8566."""
    size = abs(positions)
    return _DEGREES.take(size // _DEGREE + (positions < 0) * 181) + _BEHIND.take(size % _DEGREE)
