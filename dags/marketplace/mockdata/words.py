"""Names of games, companies and people, none of them anybody's.

A title or a company is told from all others by the pair of words in it, each pair used once: so two of them are never
the same name however spelling, accents, punctuation or legal suffixes are read. People's names are Faker's.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from marketplace.mockdata.draws import Draws, Numbers, Weights
from marketplace.mockdata.table import Texts


class Pairs(NamedTuple):
    """The first and the second words of a language."""

    first: tuple[str, ...]
    second: tuple[str, ...]

    def shuffled(self, draws: Draws) -> list[tuple[str, str]]:
        """Return each pair once, in an order of its own for each stream of draws."""
        count = len(self.first) * len(self.second)
        order = np.argsort(draws.bits(np.arange(count)), kind="stable").tolist()
        return [(self.first[number // len(self.second)], self.second[number % len(self.second)]) for number in order]


def _pairs(first: str, second: str) -> Pairs:
    return Pairs(tuple(first.split()), tuple(second.split()))


# Of games, English first: most titles are.
GAME_WORDS = (
    _pairs(
        "Amber Ancient Arcane Ashen Astral Atomic Autumn Azure Banished Barren Blazing Boreal Brass Brave Bright "
        "Broken Burning Celestial Ceramic Clockwork Cobalt Copper Coral Cosmic Crimson Crooked Crystal Cursed "
        "Dancing Deep Desert Distant Divided Dread Drifting Dusk Eager Echoing Electric Elder Emerald Empty "
        "Endless Ether Eternal Fabled Fallen Feral Final Floating Forgotten Fractured Frozen Furious Galactic "
        "Gilded Glass Gloomy Golden Granite Hallowed Harvest Haunted Hidden Hollow Howling Hungry Infinite Iron "
        "Ivory Jade Jolly Lonely Lost Lucid Lunar Magnetic Marble Merry Midnight Mighty Mirrored Misty Molten "
        "Moonlit Mossy Muted Mythic Nameless Neon Nimble Noble Obsidian Orbital Paper Pale Phantom Pixel Polar "
        "Primal Quantum Quiet Radiant Ragged Rapid Reckless Restless Riven Roaming Royal Ruined Rusty Sacred "
        "Sapphire Savage Scarlet Secret Shattered Silent Silver Sleepy Solar Spectral Stolen Stormy Sunken Swift "
        "Tangled Tidal Timeless Tiny Turbo Twilight Twisted Umbral Untold Velvet Verdant Violet Wandering Wicked "
        "Wild Winter Wooden Woven Zealous",
        "Abbey Abyss Alchemist Almanac Anvil Archipelago Armada Arsenal Ascent Asylum Atlas Automaton Avalanche "
        "Bastion Beacon Beast Brigade Cathedral Caravan Castle Cavern Chronicle Circuit Citadel Colony Comet "
        "Compass Conquest Corsair Covenant Crossing Crown Crusade Cyclone Descent Dragon Dungeon Dynasty Eclipse "
        "Empire Enigma Exodus Expedition Factory Falcon Festival Fjord Forge Fortress Frontier Gambit Garden "
        "Garrison Glacier Gladiator Goblin Grove Guardian Harbour Heist Herald Highway Horizon Hunter Island "
        "Journey Kingdom Knight Labyrinth Lagoon Lantern Legacy Legion Librarian Lighthouse Machine Maelstrom "
        "Mariner Market Meadow Mirage Monarch Monastery Mountain Nebula Nomad Oasis Oath Odyssey Omen Oracle "
        "Orchard Outpost Paladin Parade Pilgrim Planet Prophecy Puzzle Quarry Quest Racer Raider Rampart Ranger "
        "Rebellion Reef Relic Requiem River Saga Sanctuary Scholar Sentinel Shepherd Shogun Signal Skyline "
        "Smuggler Sorcerer Spire Station Summit Tavern Tempest Temple Throne Tournament Tower Trader Trial Tribe "
        "Tundra Valley Vanguard Vault Voyage Warden Wizard Workshop Zeppelin",
    ),
    _pairs(
        "Étoile Forêt Rêve Île Épée Château Légende Ombre Lumière Mémoire Tempête Hélice",
        "Éternelle Oubliée Cachée Dorée Brûlée Inachevée Sacrée Glacée Sauvage Blessée",
    ),
    _pairs(
        "Über Düstere Stählerne Eiserne Verlorene Grüne Kühne Müde Schöne Stürmische Weiße",
        "Wächter Königin Türme Brücke Höhle Flügel Gefährten Straße Mühle Wälder",
    ),
    _pairs(
        "Corazón Sueño Dragón Océano Jardín Niño Señor Capitán Volcán Búho",
        "Dormido Perdido Mágico Último Rápido Pequeño Místico Salvaje Olvidado Eléctrico",
    ),
    _pairs(
        "Звёздный Ледяной Стальной Вечный Золотой Тёмный Лунный Красный Дикий Тихий",
        "Рубеж Город Дозор Берег Странник Мастер Ветер Корабль Лабиринт Замок",
    ),
    _pairs(
        "幻影 銀河 黄昏 深海 紅蓮 蒼穹 月光 鋼鉄",
        "の旅人 の騎士 物語 伝説 の迷宮 の王国 戦記 の庭園",
    ),
    _pairs(
        "Zaklęty Żelazny Złoty Ślepy Ćmiący Świetlisty Mroźny Wędrowny",
        "Gród Płomień Księżyc Łowca Żagiel Świt Wąwóz Strażnik",
    ),
)
_GAME_LANGUAGES = Weights([952, 9, 9, 9, 9, 6, 6])
_ENGLISH_GAMES = 0
_SUBTITLES = (
    "Origins", "Rebirth", "Reckoning", "Awakening", "Aftermath", "First Light", "Last Stand", "The Long Way Home",
    "A New Dawn", "Under Siege", "Beyond the Gate", "Hearts, Minds and Gears", "Rise of the Machines", "Unbound",
    "Into the Deep", "Homecoming", "No Way Back", "Tales from the Rim", "Redux", "Director’s Cut",
)  # fmt: skip
_NUMERALS = ("2", "II", "3", "III", "4", "1999")

# Of companies, by the languages of their seats.
COMPANY_WORDS = {
    "en": _pairs(
        "Acorn Alder Badger Basalt Beech Birch Bramble Buzzard Cedar Chestnut Cinder Clover Cormorant Cricket "
        "Curlew Drizzle Fennel Ferret Flint Foxglove Gannet Ginger Hazel Heron Hickory Jackdaw Juniper Kestrel "
        "Larch Lichen Linden Lobster Lynx Magpie Mallow Marten Mustard Nettle Osprey Otter Parsnip Pebble Pepper "
        "Plover Puffin Quail Rowan Saffron Sorrel Spruce Starling Sycamore Teal Thistle Tortoise Walnut Weasel "
        "Willow Wombat Wren",
        "Anchor Bench Bridge Cabin Canyon Chimney Corner Cottage Delta Field Ferry Gable Gate Harbor Hill Kettle "
        "Kitchen Ladder Lane Loft Meridian Mill Needle Orchard Pier Pocket Quarter Ridge Rocket Shed Signal "
        "Spindle Stairs Station Teapot Tower Track Trellis Window Yard",
    ),
    "fr": _pairs(
        "Marée Rivière Céleste Pâquerette Fougère Érable Forgeron Lézard Genêt Hérisson",
        "Bleue Brodée Légère Première Profonde Muette Nouvelle Étoilée Lointaine Carrée",
    ),
    "de": _pairs(
        "Nordlicht Fährmann Eichhörnchen Kühlhaus Blaumeise Dachs Größenwahn Holzweg Krähe Löwenzahn",
        "Werkstatt Manufaktur Spielerei Wörter Schmiede Bühne Küche Gärten Stübchen Äcker",
    ),
    "es": _pairs(
        "Búfalo Cigüeña Limón Mañana Relámpago Colibrí Jazmín Girasol Piñata Otoño",
        "Azulejo Rojizo Andariega Nómada Sencillo Cósmico Lejano Marítimo Nocturno Valiente",
    ),
    "nordic": _pairs(
        "Björk Fjäll Höst Sjö Älg Snö Räv Ekorn Gråsten Brønd",
        "Åska Verkstad Källa Båt Ström Hytte Skog Lykta Torn Måne",
    ),
    "pl": _pairs(
        "Żuraw Łoś Jaskółka Świerszcz Bóbr Dąb Wróbel Ćma",
        "Północny Złocisty Wesoły Śpiący Cichy Leśny Wędrujący Żółty",
    ),
    "ja": _pairs(
        "Asahi Hoshizora Kazamidori Komorebi Mikazuki Natsukusa Shirakaba Tsubame Yamabiko Yukidaruma",
        "Denshi Kikai Kobo Manga Ongaku Seisaku Sekkei Soft Tokei Yume",
    ),
}
_COMPANY_LANGUAGES = {
    "fr": ("FR", "BE"), "de": ("DE", "AT", "CH"), "es": ("ES", "MX", "AR", "CL", "CO"), "pl": ("PL",), "ja": ("JP",),
    "nordic": ("SE", "NO", "DK", "IS"),
}  # fmt: skip
_LANGUAGE_OF_SEAT = {seat: language for language, seats in _COMPANY_LANGUAGES.items() for seat in seats}
_TRADES = ("", "", "Games", "Interactive", "Studios", "Entertainment", "Digital", "Play", "Publishing", "Arts")


def titles(draws: Draws, count: int) -> list[str]:
    """Return `count` titles, no two alike. Raises StopIteration if there are not so many words."""
    numbers = np.arange(count)
    languages = draws.stream("language").pick(numbers, _GAME_LANGUAGES).tolist()
    pairs = [iter(words.shuffled(draws.stream("pairs", index))) for index, words in enumerate(GAME_WORDS)]
    forms = draws.stream("form").below(numbers, 100).tolist()
    details = draws.stream("detail").below(numbers, 2**31).tolist()
    made = []
    for language, form, detail in zip(languages, forms, details, strict=True):
        # A language whose words are used up leaves the rest to English.
        pair = next(pairs[language], None)
        made.append(
            _title(pair, language, form, detail)
            if pair
            else _title(next(pairs[_ENGLISH_GAMES]), _ENGLISH_GAMES, form, detail)
        )
    return made


def _title(pair: tuple[str, str], language: int, form: int, detail: int) -> str:
    # Japanese compounds are written in one.
    plain = "".join(pair) if unicodedata.name(pair[0][0]).startswith("CJK") else " ".join(pair)
    if form < 10:
        return f"{plain} {_NUMERALS[detail % len(_NUMERALS)]}"
    if language != _ENGLISH_GAMES or form >= 42:
        return plain
    if form < 18:
        return f"The {plain}"
    if form < 24:
        return " & ".join(pair)
    return f"{plain}: {_SUBTITLES[detail % len(_SUBTITLES)]}"


def companies(draws: Draws, seats: list[str], suffixes: list[tuple[str, ...]]) -> list[str]:
    """Return a company for each of `seats` (alpha-2), some with one of the legal suffixes that their seat allows."""
    numbers = np.arange(len(seats))
    pairs = {name: iter(words.shuffled(draws.stream("pairs", name))) for name, words in COMPANY_WORDS.items()}
    details = draws.stream("detail").below(numbers, 2**31).tolist()
    names = []
    for seat, possible, detail in zip(seats, suffixes, details, strict=True):
        pair = next(pairs[_LANGUAGE_OF_SEAT.get(seat, "en")], None) or next(pairs["en"])
        words = [*pair, _TRADES[detail % len(_TRADES)]]
        if possible and detail // 16 % 4 == 0:
            words.append(possible[detail // 64 % len(possible)])
        names.append(" ".join(filter(None, words)))
    return names


# Locales that Faker does not have, or for which it falls back to American names, and whose names they take.
_BORROWED = {
    "nb_NO": "no_NO",
    "ar_AE": "ar_SA",
    "ar_EG": "ar_SA",
    "it_CH": "it_IT",
    "fil_PH": "es_ES",
    "en_PH": "es_ES",
}
_FAMILY_FIRST = {"hu_HU": " ", "ja_JP": " ", "ko_KR": "", "vi_VN": " ", "zh_CN": "", "zh_TW": ""}
_POOL = 128


class People(NamedTuple):
    """Parts of names, flat: those of locale l begin at position l * 256, women before men.

    `begins` and `ends` make a name when put together, and `handles` of both the letters of an address.
    """

    begins: Texts
    ends: Texts
    begin_handles: Texts
    end_handles: Texts

    def parts(self, draws: Draws, numbers: Numbers, locales: Numbers) -> tuple[Numbers, Numbers]:
        """Return for each of `numbers`, of these locales, where its parts are."""
        group = (locales * 2 + draws.stream("gender").below(numbers, 2)) * _POOL
        return group + draws.stream("begin").below(numbers, _POOL), group + draws.stream("end").below(numbers, _POOL)


@cache
def people(locales: tuple[str, ...]) -> People:
    """Return the names of people in these locales, the same for every seed: making them takes Faker half a second."""
    from faker import Faker

    begins: list[str] = []
    ends: list[str] = []
    for locale in locales:
        source = _BORROWED.get(locale, locale)
        faker = Faker(source, use_weighting=False, providers=["faker.providers.person"])
        faker.seed_instance(Draws("people", locale).key)
        for given, family in (
            (faker.first_name_female, faker.last_name_female),
            (faker.first_name_male, faker.last_name_male),
        ):
            named = [(given(), family()) for _ in range(_POOL)]
            if locale in _FAMILY_FIRST:
                begins += [f"{last}{_FAMILY_FIRST[locale]}" for _, last in named]
                ends += [first for first, _ in named]
            else:
                begins += [f"{first} " for first, _ in named]
                ends += [last for _, last in named]
    return People(*(pooled(texts) for texts in (begins, ends, _handles(begins), _handles(ends))))


def _handles(names: list[str]) -> list[str]:
    """Return the names in the letters that an address may have; `player` for what has none of them."""
    plain = [unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower() for name in names]
    return [re.sub(r"[^a-z]", "", name) or "player" for name in plain]


def pooled(texts: list[str]) -> NDArray[np.object_]:
    """Return texts as an array from which others are taken, and which nobody may change."""
    pool = np.empty(len(texts), dtype=object)
    pool[:] = texts
    pool.flags.writeable = False
    return pool
