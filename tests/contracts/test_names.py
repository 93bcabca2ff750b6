"""Which names are one, and which are not."""

from __future__ import annotations

import doctest
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marketplace.contracts import codes, names, publisher_key, title_key, values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("VALVE CORP", "Valve"),
        ("Valve Corporation", "valve"),
        ("Nihon Soft Co., Ltd.", "NIHON SOFT"),
        ("Nihon Soft Co Ltd", "Nihon  Soft"),
        ("Kōgane Games K.K.", "KOGANE GAMES"),
        ("Studio Kestrel S.A.", "Studio Kestrel SAS"),
        ("Studio Kestrel S.r.l.", "Studio Kestrel SpA"),
        ("Nordlys Spil A/S", "Nordlys Spil"),
        ("Nordlys Spil ApS", "Nordlys Spil Oyj"),
        ("Brandt & Söhne GmbH & Co. KG", "Brandt and Sohne"),
        ("Tin Lantern Pty. Ltd.", "Tin Lantern Limited"),
        ("Old Mill, Inc.", "Old Mill Incorporated"),
        ("Old Mill L.L.C.", "Old Mill PLC"),
        ("Lowland B.V.", "Lowland N.V."),
        ("Ｖａｌｖｅ", "Valve"),
        ("Vаlvе", "Valve"),  # two Cyrillic letters
        ("VΑLVE", "Valve"),  # a Greek capital
        ("Pokémon Works", unicodedata.normalize("NFD", "Pokémon Works")),
        ("Łódź Games", "Lodz Games"),
        ("Straße Spiele", "STRASSE SPIELE"),
        ("Smith\u00ad\u200bson", "Smithson"),
    ],
)
def test_these_are_one_publisher(one: str, other: str) -> None:
    assert publisher_key(one) == publisher_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cloudbreak Inc", "Cloudbreak Studios"),
        ("The Behemoth", "Behemoth"),
        ("Incognito", "ognito"),
        ("Inc Games", "Games"),
        ("Studio One", "Studio Two"),
        ("ガンダム", "カンタム"),  # voiced sounds are other sounds
        ("Мой Мир", "Мои Мир"),
        ("Valve+", "Valve"),
    ],
)
def test_these_are_two_publishers(one: str, other: str) -> None:
    assert publisher_key(one) != publisher_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("STARFORGE", "Starforge"),
        ("Starforge™", "Starforge (TM)"),
        ("NieR: Automata", "Nier - Automata"),
        ("Half-Life", "half life"),
        ("Baldur's Gate", "Baldur\u2019s Gate"),
        ("Baldurs Gate", "Baldur`s Gate"),
        ("Salt & Iron", "SALT AND IRON"),
        ("Ⅳ Kings", "IV Kings"),
    ],
)
def test_these_are_one_title(one: str, other: str) -> None:
    assert title_key(one) == title_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Portal", "Portal 2"),
        ("Iron Harbour II", "Iron Harbour 2"),
        ("The Long Orbit", "Long Orbit"),
        ("Company of Co", "Company of"),  # titles have no legal suffixes
        ("Starforge", "Starforge Deluxe Edition"),
        ("New Game+", "New Game"),
    ],
)
def test_these_are_two_titles(one: str, other: str) -> None:
    assert title_key(one) != title_key(other)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Co., Ltd.", "co"),
        ("Inc.", "inc"),
        ("K.K.", "k k"),
        ("???", "???"),
        ("™", "™"),
        ("株式会社カイテン", "株式会社カイテン"),
        ("Хрустальный Лес", "хрустальный лес"),
        ("(R)", "(r)"),
    ],
)
def test_a_key_is_never_empty(name: str, key: str) -> None:
    assert publisher_key(name) == key


any_text = st.text() | st.text(alphabet="aA.,&/ +-'coinltdgmbhsSKЕеΑα™®é\u0301\u200b", max_size=30)


@given(any_text)
@example("a & co & inc")
@example("İ Co")
@example("\u0345a")
@pytest.mark.parametrize("key", [publisher_key, title_key])
def test_a_key_is_its_own_key_and_empty_only_for_a_blank(key: object, name: str) -> None:
    assert callable(key)
    once = key(name)
    assert key(once) == once
    assert (once == "") == (not name.split())
    assert "\0" not in once or "\0" in name


@given(st.text(alphabet=st.characters(max_codepoint=0x2FF)))
def test_case_padding_and_composition_never_tell_two_titles_apart(title: str) -> None:
    assert title_key(f"  {unicodedata.normalize('NFD', title)}\t") == title_key(title)
    if title.isascii():
        assert title_key(title.swapcase()) == title_key(title)


@pytest.mark.parametrize("module", [names, values, codes], ids=lambda module: module.__name__)
def test_the_documented_examples_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0
