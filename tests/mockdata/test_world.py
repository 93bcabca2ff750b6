"""Publishers, games, customers and places: distinct, believable, and such as the contracts know them."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import babel
import numpy as np
import pytest

from marketplace import settings
from marketplace.contracts import load_contracts
from marketplace.contracts.names import LEGAL_SUFFIXES, publisher_key, title_key
from marketplace.mockdata import places, words
from marketplace.mockdata.draws import Draws
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.world import FIRST_SIGN_UPS, SIGN_UPS_A_DAY, SLOTS, World, fee_of

CLEAN = Profile("clean")
SEEDS = (0, 7, 9999)


def letters(text: str) -> str:
    """As little of a name as anybody would compare: its letters and digits, without accents and spaces."""
    plain = unicodedata.normalize("NFKD", text.replace("&", "and").replace("ß", "ss").casefold())
    return "".join(character for character in plain.translate(str.maketrans("øłđ", "old")) if character.isalnum())


def day(text: str) -> int:
    return int(np.datetime64(text).astype(np.int64))


@pytest.mark.parametrize("pairs", [*words.GAME_WORDS, *words.COMPANY_WORDS.values()], ids=lambda pairs: pairs.first[0])
def test_no_two_pairs_of_words_look_alike_even_without_accents_and_spaces(pairs: words.Pairs) -> None:
    assert len(set(pairs.first)) == len(pairs.first)
    assert len(set(pairs.second)) == len(pairs.second)
    looks = Counter(letters(first + second) for first in pairs.first for second in pairs.second)
    assert looks.most_common(1)[0][1] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_all_titles_are_distinct_however_they_are_read(seed: int) -> None:
    titles = World.of(seed).titles.tolist()
    for reading in (str, title_key, letters, lambda title: letters(re.sub("^The ", "", title).split(":")[0])):
        assert len({reading(title) for title in titles}) == len(titles)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_companies_are_distinct_however_they_are_read(seed: int) -> None:
    names = World.of(seed).publisher_names.tolist()
    for reading in (str, publisher_key, letters, lambda name: letters(" ".join(name.split()[:2]))):
        assert len({reading(name) for name in names}) == len(names)


@pytest.mark.parametrize("seed", SEEDS)
def test_names_are_trimmed_composed_short_and_no_markers_of_what_is_missing(seed: int) -> None:
    world = World.of(seed)
    for name in [*world.titles.tolist(), *world.publisher_names.tolist()]:
        assert name == unicodedata.normalize("NFC", " ".join(name.split()))
        assert 6 <= len(name) <= 80 or not name.isascii()
        assert letters(name) not in ("null", "na", "nan", "none", "")
        assert len(publisher_key(name).split()) >= 2 or not name.isascii()


def test_some_names_have_accents_or_other_letters_and_some_have_a_legal_suffix() -> None:
    world = World.of(7)
    names = world.titles.tolist()
    beyond = sum(not name.replace("’", "").isascii() for name in names)
    assert 0.02 < beyond / len(names) < 0.1
    suffixed = [name for name in world.publisher_names.tolist() if letters(name.split()[-1]) in LEGAL_SUFFIXES]
    assert 0.1 < len(suffixed) / len(world.publisher_names) < 0.3


def test_words_that_run_out_leave_the_rest_to_english() -> None:
    companies = words.companies(Draws("many"), ["JP"] * 150, [()] * 150)
    assert len({publisher_key(name) for name in companies}) == 150
    titles = words.titles(Draws("many"), 19_000)
    assert len({title_key(title) for title in titles}) == 19_000


def test_seeds_have_other_worlds_and_other_ids() -> None:
    one, other = World.of(1), World.of(2)
    assert (one.titles != other.titles).mean() > 0.99
    entities = np.arange(50)
    for table in ("publisher_table", "game_table"):
        ids = [getattr(world, table)(entities, CLEAN).text for world in (one, other)]
        key = next(iter(ids[0]))
        assert not set(ids[0][key].tolist()) & set(ids[1][key].tolist())


@pytest.mark.parametrize("seed", [-1, 10_000])
def test_a_seed_of_more_than_four_digits_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 9999"):
        World.of(seed)


def test_games_come_one_by_one_and_some_thousands_are_out() -> None:
    world = World.of(7)
    assert (np.diff(world.release_days) > 0).all()
    out = {year: int((world.release_days < day(f"{year}-01-01")).sum()) for year in (1998, 2010, 2016, 2026, 2045)}
    assert out[1998] == 0
    assert 1000 < out[2010] < 1200
    assert 2100 < out[2016] < 2300
    assert 3900 < out[2026] < 4100
    assert out[2045] > 7400


def test_popularity_has_a_long_tail() -> None:
    popularity = np.sort(World.of(7).popularity)[::-1]
    shares = np.cumsum(popularity) / popularity.sum()
    assert 0.3 < shares[len(shares) // 100] < 0.5
    assert 0.6 < shares[len(shares) // 10] < 0.75


def test_a_game_comes_out_on_its_day_and_is_ported_later() -> None:
    world = World.of(7)
    release = world.release_starts
    assert world.release_games[release].tolist() == list(range(len(world.titles)))
    today = world.day(day("2026-01-05"))
    assert (today.open[: today.released] >= 1).all()
    assert not today.open[today.released :].any()
    assert 1.5 < today.open[: today.released].mean() < 4
    # A year after, ports have come.
    assert (world.day(day("2027-01-05")).open[: today.released] > today.open[: today.released]).mean() > 0.01


def test_platforms_are_of_their_time() -> None:
    world = World.of(7)
    counts = np.bincount(world.release_platforms, minlength=len(places.PLATFORMS))
    assert counts.min() > 20
    assert counts.argmax() == places.PLATFORMS.index("PC")
    of_2012 = (world.release_days > day("2012-01-01")) & (world.release_days < day("2012-06-01"))
    early = world.day(day("2012-06-01"))
    there = {
        places.PLATFORMS[platform]
        for game in np.flatnonzero(of_2012).tolist()
        for platform in world.release_platforms[
            world.release_starts[game] : world.release_starts[game] + early.open[game]
        ].tolist()
    }
    assert {"PC", "PlayStation 3", "Xbox 360"} <= there
    assert not there & {"PlayStation 5", "Xbox One", "Nintendo Switch", "Steam Deck", "Mobile"}


def test_publishers_come_before_their_games_and_a_port_may_be_anothers() -> None:
    world = World.of(7)
    known = 60 + world.release_games // 12
    assert (world.release_publishers <= known).all()
    games = np.bincount(world.release_publishers, minlength=len(world.publisher_names))
    assert games.min() >= 1
    assert games.max() > 5 * np.median(games)
    firsts = world.release_publishers[world.release_starts][world.release_games]
    assert 0.01 < (firsts != world.release_publishers).mean() < 0.1


def test_prices_fall_with_age_and_in_sales() -> None:
    world = World.of(7)
    old, new = (world.day(day(text)) for text in ("2020-03-03", "2026-03-03"))
    plain = world.gross[new.price[: old.released]]
    assert (plain <= world.gross[old.price[: old.released]]).mean() > 0.9
    in_sale = world.gross[world.day(day("2026-06-30")).price[: new.released]]
    usual = world.gross[new.price[: new.released]]
    assert 0.4 < in_sale.mean() / usual.mean() < 0.8
    assert world.gross.min() > 0


def test_a_price_looks_like_one_in_each_currency() -> None:
    full = places.prices(np.array([1999, 5999]))
    shown = {code: (row / 100).tolist() for code, row in zip(places.CURRENCIES, full, strict=True)}
    assert (shown["USD"], shown["EUR"], shown["GBP"]) == ([19.99, 59.99], [19.99, 59.99], [16.99, 49.99])
    assert (shown["JPY"], shown["KRW"], shown["SEK"]) == ([2480, 7480], [24000, 71000], [199, 589])
    world = World.of(7)
    whole = np.repeat(places.CURRENCY_IS_WHOLE, len(world.gross) // len(places.CURRENCIES))
    assert not (world.gross[whole] % 100).any()
    assert not (world.fees[whole] % 100).any()


def test_the_fee_is_30_percent_rounded_half_up_to_what_the_currency_has() -> None:
    gross = np.array([1999, 1995, 5, 100, 100, 500])
    whole = np.array([False, False, False, False, True, True])
    assert fee_of(gross, whole).tolist() == [600, 599, 2, 30, 0, 200]


def test_spellings_and_codes_are_those_of_the_contracts() -> None:
    columns = {column.name: column for column in load_contracts()["transaction_detail"].columns}
    assert tuple(columns["region"].values) == places.REGIONS
    assert tuple(columns["platform"].values) == places.PLATFORMS
    for country in places.countries():
        assert country.code in babel.Locale("en").territories
        for locale in country.locales:
            assert babel.Locale.parse(locale).territory == locale[-2:]
    for currency in places.CURRENCIES:
        assert currency in babel.Locale("en").currencies


def test_cities_are_where_their_zone_and_country_are() -> None:
    cities = places.cities()
    assert len(cities.name) >= 150
    assert len(set(zip(cities.name, cities.country.tolist(), strict=True))) == len(cities.name)
    assert {country.code for country in places.countries()} == {
        places.countries()[index].code for index in cities.country.tolist()
    }
    noon = cities.longitude / 100_000 / 15 * 3600
    assert abs(noon - cities.offset).max() < 3.1 * 3600
    for zone, offset in zip(cities.time_zone, cities.offset.tolist(), strict=True):
        offsets = {datetime(2025, month, 15, tzinfo=ZoneInfo(zone)).utcoffset() for month in (1, 7)}
        # Dublin's summer time is its standard time, by law.
        assert offset == min(moved.total_seconds() for moved in offsets if moved is not None)
    with (settings.include_dir() / "mockdata" / "cities.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert re.fullmatch(r"-?\d{1,2}\.\d{5}", row["latitude"])
            assert re.fullmatch(r"-?\d{1,3}\.\d{5}", row["longitude"])


def test_a_catalogue_has_a_row_for_each_id_and_an_id_the_same_row_every_time() -> None:
    world = World.of(7)
    entities = np.array([3, 8, 600])
    table = world.game_table(entities, CLEAN)
    assert table.text["game_id"].tolist() == ["GAM-0007-0000012", "GAM-0007-0000032", "GAM-0007-0002400"]
    assert table.text["title"].tolist() == world.titles[entities].tolist()
    several = Profile("several", {"several_game_ids": 1.0, "several_publisher_ids": 0.5})
    more = world.game_table(np.arange(600), several)
    counts = np.bincount(more.facts["entity"])
    assert set(counts.tolist()) == {2, 3, 4}
    assert (more.facts["alias"] // SLOTS == more.facts["entity"]).all()
    assert more.text["game_id"].tolist() == sorted(more.text["game_id"].tolist())
    alone = world.game_table(np.array([8]), several)
    rows = np.flatnonzero(more.facts["entity"] == 8)
    for column, texts in alone.text.items():
        assert texts.tolist() == more.text[column][rows].tolist()
    publishers = world.publisher_table(np.arange(400), several)
    assert 0.4 < (np.bincount(publishers.facts["entity"]) > 1).mean() < 0.6


def test_games_of_one_title_have_different_dates() -> None:
    world = World.of(7)
    entities = np.arange(len(world.titles))
    assert world.title_of(entities, CLEAN).tolist() == entities.tolist()
    titles = world.title_of(entities, Profile("same", {"same_title": 1.0}))
    shared = np.flatnonzero(titles != entities)
    assert len(shared) > len(entities) // 3
    assert (titles[titles[shared]] == titles[shared]).all()
    assert np.bincount(titles).max() == 2
    assert (world.release_days[shared] != world.release_days[titles[shared]]).all()


def test_customers_live_and_speak_where_their_city_is() -> None:
    world = World.of(7)
    customers = np.arange(0, 400_000, 37)
    text = world.customer_texts(customers, np.ones(len(customers), dtype=bool))
    assert len(set(text["customer_ref"].tolist())) == len(customers)
    assert all(re.fullmatch(r"CUST-0007\d{8}", ref) for ref in text["customer_ref"].tolist())
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+\d+@example\.(com|org|net)", mail) for mail in text["email"].tolist())
    assert len(set(text["email"].tolist())) == len(customers)
    assert all(name == name.strip() and name for name in text["name"].tolist())
    allowed = {country.code: country.locales for country in places.countries()}
    assert all(
        locale in allowed[country]
        for locale, country in zip(text["locale"].tolist(), text["country"].tolist(), strict=True)
    )
    japanese = text["name"][text["locale"] == "ja_JP"].tolist()
    assert japanese
    assert not any(name.isascii() for name in japanese)


def test_of_a_country_as_many_live_as_its_cities_weigh() -> None:
    cities = places.cities()
    homes = np.bincount(World.of(7).city_of(np.arange(SIGN_UPS_A_DAY)))
    assert homes.min() >= 1
    united_states = places.countries()[0].code == "US" and cities.country == 0
    assert homes[united_states].sum() / SIGN_UPS_A_DAY == pytest.approx(
        cities.weight[united_states].sum() / cities.weight.sum(), abs=0.05
    )


def test_customers_sign_up_day_by_day_in_their_waking_hours() -> None:
    world = World.of(7)
    customers = np.arange(100 * SIGN_UPS_A_DAY)
    moments = world.signed_up(customers)
    assert (moments // 86_400 == FIRST_SIGN_UPS + customers // SIGN_UPS_A_DAY).all()
    hours = (moments + places.cities().offset[world.city_of(customers)]) // 3600 % 24
    counts = np.bincount(hours, minlength=24)
    assert counts.argmax() == 20
    assert counts[3:6].sum() * 15 < counts[19:22].sum()
    first = FIRST_SIGN_UPS * 86_400
    together = [world.sign_ups(first + hour * 3600, first + (hour + 1) * 3600) for hour in range(24)]
    assert sorted(np.concatenate(together).tolist()) == list(range(SIGN_UPS_A_DAY))


def test_older_customers_are_others_each_time() -> None:
    world = World.of(7)
    found = world.older_customers(FIRST_SIGN_UPS + 30, 2**31 - 1, np.arange(30 * SIGN_UPS_A_DAY - 1))
    assert len(set(found.tolist())) == len(found)
    assert 0 <= found.min() <= found.max() < 30 * SIGN_UPS_A_DAY


@pytest.mark.parametrize("parts", [1, 3])
def test_those_who_are_met_live_in_the_city_and_came_before(parts: int) -> None:
    world = World.of(7)
    numbers = np.arange(30_000)
    cities = Draws("cities").below(numbers, len(places.cities().name))
    met = [
        world.customers_in(cities, FIRST_SIGN_UPS + 365, Draws("met", part), numbers, part, parts)
        for part in range(parts)
    ]
    for customers in met:
        assert (world.city_of(customers) == cities).all()
        assert 0 <= customers.min() <= customers.max() < 365 * SIGN_UPS_A_DAY
        # Who came lately is met more often.
        late = customers >= 182 * SIGN_UPS_A_DAY
        assert 0.7 < late.mean() < 0.95
    assert sum(len(set(customers.tolist())) for customers in met) == len(set(np.concatenate(met).tolist()))
