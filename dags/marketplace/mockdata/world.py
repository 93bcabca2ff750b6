"""What there is to buy, who publishes it and who buys it, as it stands on any day: the same for all intervals.

Publishers, games and customers are numbered in the order in which they appear, so what exists on a day is what has a
number below a bound.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from marketplace.mockdata import places, rhythm, words
from marketplace.mockdata.draws import Draws, Numbers, Weights
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.table import Table, Texts
from marketplace.mockdata.words import pooled

# A publisher or a game may have so many ids.
SLOTS = 4

_FIRST_DAY = np.datetime64("1998-01-05").astype(np.int64)
# A game every fourth day at first, every other day since 2010, until 2045.
_SLOW_GAMES, _FAST_GAMES = 1100, 6400
_GAMES = _SLOW_GAMES + _FAST_GAMES
# To begin with, and after so many games another one.
_FIRST_PUBLISHERS, _GAMES_A_PUBLISHER = 60, 12
# Games that may share a title lie so far apart, which is some years.
_REMAKE = 512

_GENRES = (
    "Action", "Adventure", "Strategy", "Role-Playing", "Simulation", "Puzzle", "Racing", "Sports", "Platformer",
    "Shooter", "Fighting", "Horror", "Survival", "Card Game", "Visual Novel", "Rhythm", "Roguelike", "City Builder",
)  # fmt: skip
_GENRE_WEIGHTS = Weights([18, 14, 10, 12, 9, 8, 5, 5, 7, 8, 4, 5, 5, 3, 4, 2, 6, 3])

# Prices in cents of a dollar; a game comes down by a step after each of the ages (days).
_POINTS = np.array([199, 299, 499, 799, 999, 1499, 1999, 2499, 2999, 3999, 4999, 5999, 6999])
_POINT_WEIGHTS = Weights([3, 5, 10, 6, 16, 14, 18, 9, 10, 8, 6, 9, 3])
_REDUCTION_AGES = np.array([540, 1100, 1900, 3000])
# What a discount leaves of a price, in hundredths.
_LEFT = np.array([100, 90, 80, 75, 67, 60, 50, 40, 25])
_EVENT_DISCOUNTS = Weights([30, 4, 12, 10, 10, 10, 14, 6, 4])
_WEEKLY_DISCOUNTS = Weights([940, 10, 14, 12, 10, 6, 6, 2, 0])

# How much more a game is wanted in the days after its release: from each of these ages on, in hundredths.
_AGES = np.array([0, 3, 10, 30, 90, 365, 1100, 2500])
_FRESHNESS = np.array([900, 600, 400, 260, 170, 110, 70, 45])
# So many days ahead a game is announced; wishes for it rise as the day draws near.
_ANNOUNCED = 300

# Sign-ups begin with this day; what happens on the marketplace is known from `interval.OPENING` on.
FIRST_SIGN_UPS = int(np.datetime64("2015-01-01").astype(np.int64))
SIGN_UPS_A_DAY = 720
_STRIDE = 1_000_003
_CLOCK = pooled(
    [f"T{hour:02d}:{minute:02d}:{second:02d}Z" for hour in range(24) for minute in range(60) for second in range(60)]
)
_DIGITS = pooled([f"{number:04d}" for number in range(10_000)])
_DAY = 86_400


class Day(NamedTuple):
    """The games on one day; arrays have a place for each game, released or not.

    sold, wished   running sums of the weights with which a game is bought or played, and wished for
    open           on how many platforms the game is out
    price          position in World.gross of the game's price, in the first currency
    """

    released: int
    sold: Numbers
    wished: Numbers
    open: Numbers
    price: Numbers


class World:
    """The marketplace of a seed."""

    def __init__(self, seed: int) -> None:
        if not 0 <= seed <= 9999:
            raise ValueError(f"The seed is {seed}; it must be a whole number from 0 to 9999.")
        self.seed = seed
        self._draws = Draws(seed, "world")
        self._days: dict[int, Day] = {}
        self._make_publishers()
        self._make_games()
        self._make_releases()

    @classmethod
    @lru_cache(maxsize=4)
    def of(cls, seed: int) -> World:
        """Return the world of a seed (0 to 9999), made once. Raises ValueError."""
        return cls(seed)

    # Publishers and games.

    def _make_publishers(self) -> None:
        countries = places.countries()
        entities = np.arange(_FIRST_PUBLISHERS + (_GAMES - 1) // _GAMES_A_PUBLISHER)
        seats = self._draws.stream("seat").pick(entities, Weights([country.seats for country in countries]))
        chosen = [countries[seat] for seat in seats.tolist()]
        self.publisher_names = pooled(
            words.companies(self._draws.stream("company"), [c.code for c in chosen], [c.suffixes for c in chosen])
        )
        self._publisher_seats = pooled([country.code for country in chosen])
        self.publisher_currencies = np.array([country.currency for country in chosen])

    def _make_games(self) -> None:
        entities = np.arange(_GAMES)
        gaps = np.where(entities < _SLOW_GAMES, 4, 2)
        begins = _FIRST_DAY + np.cumsum(gaps) - gaps
        self.release_days = begins + self._draws.stream("release day").below(entities, gaps)
        self.titles = pooled(words.titles(self._draws.stream("title"), _GAMES))
        self._genres = pooled(list(_GENRES)).take(self._draws.stream("genre").pick(entities, _GENRE_WEIGHTS))
        self._points = self._draws.stream("price").pick(entities, _POINT_WEIGHTS)
        ranks = np.argsort(np.argsort(self._draws.stream("rank").bits(entities), kind="stable"), kind="stable")
        self.popularity = 1_000_000 // (ranks + 12)
        self.gross, self.fees = _price_lists()
        known = _FIRST_PUBLISHERS + entities // _GAMES_A_PUBLISHER
        self._game_publishers = self._some_publisher("publisher", entities, known)
        founding = entities % _GAMES_A_PUBLISHER == 0
        self._game_publishers[founding] = known[founding] - 1

    def _some_publisher(self, purpose: str, numbers: Numbers, known: Numbers) -> Numbers:
        """Return a publisher for each of `numbers`, of the first `known`: the older, the likelier."""
        bound = self._draws.stream(purpose, "bound").below(numbers, known) + 1
        return self._draws.stream(purpose).below(numbers, bound)

    def _make_releases(self) -> None:
        """Number the releases by game and day: those of game g on the first day are release_starts[g] and up."""
        count = len(places.PLATFORMS)
        cells = np.arange(_GAMES * count)
        days = np.repeat(self.release_days, count)
        firsts, lasts = np.tile(places.PLATFORM_FIRST_DAYS, _GAMES), np.tile(places.PLATFORM_LAST_DAYS, _GAMES)
        comes = self._draws.stream("platform").below(cells, 100) < np.tile(places.PLATFORM_SHARES, _GAMES)
        # A port comes later, or with a platform that is new then; but not of a game that is old by then.
        late = self._draws.stream("port").below(cells, 100) < 30
        port_days = days + np.where(late, 60 + self._draws.stream("port day").below(cells, 700), 0)
        port_days = np.maximum(port_days, firsts + np.where(firsts > days, cells % 400, 0))
        comes &= (port_days <= lasts) & (port_days - days < 2000)
        # Each game comes out somewhere on its release day.
        lead = comes & (port_days == days)
        leading = np.where(lead.reshape(_GAMES, count).any(axis=1), lead.reshape(_GAMES, count).argmax(axis=1), 0)
        leads = np.arange(_GAMES) * count + leading
        comes[leads], port_days[leads] = True, days[leads]
        chosen = np.flatnonzero(comes)
        order = np.lexsort((chosen, port_days[chosen], chosen // count))
        chosen = chosen[order]
        games = chosen // count
        self.release_games, self.release_platforms, self._out_days = games, chosen % count, port_days[chosen]
        self.release_starts = np.searchsorted(games, np.arange(_GAMES))
        self.release_publishers = self._game_publishers[games]
        ported = (self._out_days > self.release_days[games]) & self._draws.stream("ported by").chance(chosen, 0.15)
        known = _FIRST_PUBLISHERS + games // _GAMES_A_PUBLISHER
        self.release_publishers[ported] = self._some_publisher("port", chosen, known)[ported]
        # The same, by publisher and day: what a payout may be about.
        self.published = np.lexsort((self._out_days, self.release_publishers))
        self._published_keys = self.release_publishers[self.published] * 100_000 + self._out_days[self.published]

    def day(self, day: int) -> Day:
        """Return the games as they are on a day (days since 1970)."""
        if day not in self._days:
            if len(self._days) >= 64:
                self._days.clear()
            self._days[day] = self._make_day(day)
        return self._days[day]

    def _make_day(self, day: int) -> Day:
        entities = np.arange(_GAMES)
        ages = day - self.release_days
        released = int(np.searchsorted(self.release_days, day, side="right"))
        event = rhythm.sale_event(day)
        if event:
            discounts = self._draws.stream("discount", event).pick(entities, _EVENT_DISCOUNTS)
        else:
            discounts = self._draws.stream("discount", (day + 3) // 7).pick(entities, _WEEKLY_DISCOUNTS)
        discounts[ages < 60] = 0
        wanted = self.popularity * _FRESHNESS[np.searchsorted(_AGES, ages.clip(0), side="right") - 1]
        sold = wanted * (200 - _LEFT[discounts]) // 10_000
        sold[released:] = 0
        wished = wanted * (ages + _ANNOUNCED).clip(0, _ANNOUNCED) // (100 * _ANNOUNCED)
        reductions = np.searchsorted(_REDUCTION_AGES, ages, side="right")
        points = np.maximum(self._points - reductions, 0)
        return Day(
            released=released,
            sold=np.cumsum(sold),
            wished=np.cumsum(wished),
            open=np.bincount(self.release_games[self._out_days <= day], minlength=_GAMES),
            price=points * len(_LEFT) + discounts,
        )

    def published_on(self, publishers: Numbers, days: Numbers) -> tuple[Numbers, Numbers]:
        """Return where the releases of each publisher begin in `published`, and how many are out on each day."""
        starts = np.searchsorted(self._published_keys, publishers * 100_000)
        ends = np.searchsorted(self._published_keys, publishers * 100_000 + days, side="right")
        return starts, ends - starts

    # Rows of the catalogue.

    def publisher_slots(self, entities: Numbers, profile: Profile) -> Numbers:
        """Return how many ids each of the publishers has: one, or two to four if the dial says so."""
        return self._slots("publisher", entities, profile.rate("several_publisher_ids"))

    def game_slots(self, entities: Numbers, profile: Profile) -> Numbers:
        """Return how many ids each of the games has: one, or two to four if the dial says so."""
        return self._slots("game", entities, profile.rate("several_game_ids"))

    def _slots(self, dataset: str, entities: Numbers, rate: float) -> Numbers:
        draws = self._draws.stream(dataset, "slots")
        several = draws.stream("several").chance(entities, rate)
        return np.where(several, 2 + draws.below(entities, SLOTS - 1), 1)

    def title_of(self, entities: Numbers, profile: Profile) -> Numbers:
        """Return the number of each game's title; a remake has that of a game some years older."""
        remade = (entities // _REMAKE % 2 == 1) & self._draws.stream("remake").chance(
            entities, profile.rate("same_title")
        )
        return np.where(remade, entities - _REMAKE, entities)

    def publisher_ids(self, aliases: Numbers) -> Texts:
        """Return the ids of publishers by their alias numbers."""
        return pooled([f"PUB-{self.seed:04d}-{alias:07d}" for alias in aliases.tolist()])

    def game_ids(self, aliases: Numbers) -> Texts:
        """Return the ids of games by their alias numbers."""
        return pooled([f"GAM-{self.seed:04d}-{alias:07d}" for alias in aliases.tolist()])

    @cached_property
    def first_game_ids(self) -> Texts:
        """The lowest id of each game."""
        return self.game_ids(np.arange(_GAMES) * SLOTS)

    @cached_property
    def first_publisher_ids(self) -> Texts:
        """The lowest id of each publisher."""
        return self.publisher_ids(np.arange(len(self.publisher_names)) * SLOTS)

    def publisher_table(self, entities: Numbers, profile: Profile) -> Table:
        """Return the rows of these publishers, one for each of their ids."""
        aliases = _aliases(entities, self.publisher_slots(entities, profile))
        entity = aliases // SLOTS
        text = {
            "publisher_id": self.publisher_ids(aliases),
            "name": self.publisher_names.take(entity),
            "country": self._publisher_seats.take(entity),
        }
        return clean("publisher", Draws(self.seed, "publisher"), aliases, text, {"alias": aliases, "entity": entity})

    def game_table(self, entities: Numbers, profile: Profile) -> Table:
        """Return the rows of these games, one for each of their ids."""
        aliases = _aliases(entities, self.game_slots(entities, profile))
        entity = aliases // SLOTS
        title, days = self.title_of(entity, profile), self.release_days[entity]
        text = {
            "game_id": self.game_ids(aliases),
            "title": self.titles.take(title),
            "release_date": day_texts(days),
            "genre": self._genres.take(entity),
        }
        facts = {"alias": aliases, "entity": entity, "title": title, "release_day": days}
        return clean("game", Draws(self.seed, "game"), aliases, text, facts)

    @cached_property
    def price_texts(self) -> tuple[Texts, Texts, Texts]:
        """What is paid, the fee and what is left, at each price; and after them the same of refunds."""
        gross, fee, net = (
            amount_texts(np.concatenate([amounts, -amounts]))
            for amounts in (self.gross, self.fees, self.gross - self.fees)
        )
        return gross, fee, net

    # Customers: of each day's sign-ups the n-th lives in the same city.

    @cached_property
    def _homes(self) -> Numbers:
        """The city of each of a day's sign-ups, about as many to a city as its weight says, and one at least."""
        weights = places.cities().weight
        rest = SIGN_UPS_A_DAY - len(weights)
        bounds = np.cumsum(weights) * rest // int(weights.sum())
        shares = 1 + np.diff(bounds, prepend=0)
        homes = np.repeat(np.arange(len(weights)), shares)
        return homes[np.argsort(self._draws.stream("home").bits(np.arange(SIGN_UPS_A_DAY)), kind="stable")]

    @cached_property
    def _neighbours(self) -> tuple[Numbers, Numbers, Numbers]:
        """The positions in a day's sign-ups, city by city; where each city's begin, and how many it has."""
        order = np.argsort(self._homes, kind="stable")
        sizes = np.bincount(self._homes, minlength=len(places.cities().weight))
        return order, np.cumsum(sizes) - sizes, sizes

    def customers_in(
        self, cities: Numbers, day: int, draws: Draws, numbers: Numbers, part: int = 0, parts: int = 1
    ) -> Numbers:
        """Return for each of `numbers` a customer who lives in its city and signed up before `day`.

        Who came lately is met more often. Of several `parts` no two share a customer.
        """
        members, starts, sizes = self._neighbours
        places_in_day = members[starts[cities] + draws.stream("who").below(numbers, sizes[cities])]
        groups = (day - FIRST_SIGN_UPS) // parts
        back = draws.stream("since").below(numbers, draws.stream("at most").below(numbers, groups) + 1)
        return ((groups - 1 - back) * parts + part) * SIGN_UPS_A_DAY + places_in_day

    def city_of(self, customers: Numbers) -> Numbers:
        """Return the city where each customer lives."""
        return self._homes[customers % SIGN_UPS_A_DAY]

    def signed_up(self, customers: Numbers) -> Numbers:
        """Return when each customer signed up, in seconds since 1970: in the hours when their city is awake."""
        offsets = places.cities().offset[self.city_of(customers)]
        draws = self._draws.stream("sign-up")
        local = draws.stream("hour").pick(customers, rhythm.HOURS) * 3600 + draws.below(customers, 3600)
        return (FIRST_SIGN_UPS + customers // SIGN_UPS_A_DAY) * _DAY + (local - offsets) % _DAY

    def sign_ups(self, first: int, end: int) -> Numbers:
        """Return the customers who sign up between two moments (seconds since 1970), in their order of time."""
        days = np.arange(first // _DAY, -(-end // _DAY)) - FIRST_SIGN_UPS
        customers = (days[:, None] * SIGN_UPS_A_DAY + np.arange(SIGN_UPS_A_DAY)).ravel()
        moments = self.signed_up(customers)
        within = (first <= moments) & (moments < end)
        customers, moments = customers[within], moments[within]
        return customers[np.argsort(moments, kind="stable")]

    def older_customers(self, day: int, first: int, numbers: Numbers) -> Numbers:
        """Return customers from before `day`, another for each of `numbers` (as many as there are, and no more)."""
        known = (day - FIRST_SIGN_UPS) * SIGN_UPS_A_DAY
        known -= known % _STRIDE == 0
        return (first + numbers) * _STRIDE % known

    @cached_property
    def _customer_heads(self) -> Texts:
        """The ids of customers, without their last four digits, until 2100."""
        return pooled([f"CUST-{self.seed:04d}{number:04d}" for number in range(85 * 366 * SIGN_UPS_A_DAY // 10_000)])

    def customer_refs(self, customers: Numbers) -> Texts:
        """Return the ids of customers."""
        return self._customer_heads.take(customers // 10_000) + _DIGITS.take(customers % 10_000)

    def customer_texts(self, customers: Numbers, opted_in: NDArray[np.bool_]) -> dict[str, Texts]:
        """Return what a customer file says of these customers, column by column."""
        cities = self.city_of(customers)
        countries = places.cities().country[cities]
        locales = self._locales(customers, countries)
        names = words.people(_locale_names())
        begins, ends = names.parts(self._draws.stream("name"), customers, locales)
        domains = ("@example.com", "@example.org", "@example.net")
        mail = zip(
            names.begin_handles.take(begins),
            names.end_handles.take(ends),
            customers.tolist(),
            pooled(list(domains)).take(self._draws.stream("domain").below(customers, len(domains))),
            strict=True,
        )
        return {
            "customer_ref": self.customer_refs(customers),
            "name": names.begins.take(begins) + names.ends.take(ends),
            "email": pooled([f"{begin}.{end}{number}{domain}" for begin, end, number, domain in mail]),
            "country": pooled([country.code for country in places.countries()]).take(countries),
            "locale": pooled(list(_locale_names())).take(locales),
            "time_zone": pooled(places.cities().time_zone).take(cities),
            "marketing_opt_in": pooled(["false", "true"]).take(opted_in.astype(np.int64)),
            "created_at": moment_texts(self.signed_up(customers)),
        }

    def _locales(self, customers: Numbers, countries: Numbers) -> Numbers:
        """Return for each customer a position in _locale_names()."""
        position = {name: index for index, name in enumerate(_locale_names())}
        locales = np.zeros(len(customers), dtype=np.int64)
        for index in np.unique(countries).tolist():
            there = np.flatnonzero(countries == index)
            country = places.countries()[index]
            picked = self._draws.stream("locale").pick(customers[there], country.locale_weights)
            locales[there] = np.array([position[name] for name in country.locales])[picked]
        return locales


def _locale_names() -> tuple[str, ...]:
    return tuple(sorted({locale for country in places.countries() for locale in country.locales}))


def _aliases(entities: Numbers, slots: Numbers) -> Numbers:
    first = np.cumsum(slots) - slots
    return np.repeat(entities * SLOTS - first, slots) + np.arange(int(slots.sum()))


@lru_cache(maxsize=1)
def _price_lists() -> tuple[Numbers, Numbers]:
    """Return all prices and their fees (hundredths): by currency, price point and discount, flat."""
    whole = places.CURRENCY_IS_WHOLE[:, None]
    gross = places.prices(np.repeat(_POINTS, len(_LEFT))) * np.tile(_LEFT, len(_POINTS))
    gross = np.where(whole, (gross + 5_000) // 10_000 * 100, (gross + 50) // 100)
    return gross.ravel(), fee_of(gross, whole).ravel()


def fee_of(gross: Numbers, whole: NDArray[np.bool_]) -> Numbers:
    """Return 30 % of what was paid (hundredths, from 0), rounded half up to the currency's smallest unit."""
    return np.where(whole, (gross * 30 + 5_000) // 10_000 * 100, (gross * 30 + 50) // 100)


PRICES_A_CURRENCY = len(_POINTS) * len(_LEFT)


def clean(dataset: str, draws: Draws, numbers: Numbers, text: dict[str, Texts], facts: dict[str, Numbers]) -> Table:
    """Return rows of which the text is true; nobody can write into it, since it is the truth as well."""
    for column in text.values():
        column.flags.writeable = False
    truth = {name: texts for name, texts in text.items() if name not in ("game_ref", "publisher_ref")}
    return Table(dataset, draws, numbers, text, truth, facts)


def day_texts(days: Numbers) -> Texts:
    """Return days since 1970 as 2022-10-14."""
    return pooled(days.astype("datetime64[D]").astype(str).tolist())


def moment_texts(seconds: Numbers) -> Texts:
    """Return seconds since 1970 as 2022-10-14T09:30:00Z."""
    days = seconds // _DAY
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    return day_texts(np.arange(first, last + 1)).take(days - first) + _CLOCK.take(seconds % _DAY)


def amount_texts(hundredths: Numbers) -> Texts:
    """Return amounts with two decimals, such as -12.50."""
    return pooled([f"{'-' * (value < 0)}{abs(value) // 100}.{abs(value) % 100:02d}" for value in hundredths.tolist()])
