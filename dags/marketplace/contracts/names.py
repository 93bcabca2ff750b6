"""Keys under which names are matched: two names with the same key are the same publisher, or the same title.

A key is for comparison only, the name is stored as it was written. Both keys are made by `fold`; a
publisher's key also loses its legal suffixes. A wrong match merges two things while a missed one is mended
by an alias, so whatever may tell two names apart is kept: a leading "The", "Games" or "Studio", numerals
(II is not 2), editions, a plus.
"""

from __future__ import annotations

import re
import unicodedata

# Signs of trademark and copyright, before NFKD can turn them into the letters TM; and the same in brackets.
_MARKS = re.compile(r"[™℠®©℗]|\((?:tm|sm|r|c|p)\)", re.IGNORECASE)

# Letters that Unicode does not decompose into a base letter and an accent.
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe"}
)

# Cyrillic and Greek letters that look like a Latin one, each case by itself: Ν looks like N, but ν like v.
_LOOK_ALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухᲂᲃ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχ",
    "ABESIJKMHOPCTYXaesijopcyxoc" + "ABEZHIKMNOPTYXaikvopux",
)
_LATIN = re.compile(r"[A-Za-z]")

# What accents are when decomposed; the marks of other scripts (a voiced sound in kana) lie elsewhere.
_ACCENTS = range(0x0300, 0x0370)
_WORD = re.compile(r"(?:[^\W\d_]|[\u0300-\u036f])+")

LEGAL_SUFFIXES = frozenset({
    "ab", "ag", "aps", "as", "asa", "bv", "bvba", "co", "company", "corp", "corporation", "doo", "gmbh",
    "inc", "incorporated", "kft", "kg", "kgaa", "kk", "limited", "llc", "llp", "lp", "ltd", "ltda", "nv",
    "oy", "oyj", "plc", "pte", "pty", "pvt", "sa", "sarl", "sas", "se", "sl", "slu", "spa", "srl", "sro",
    "ug",
})  # fmt: skip
_LONGEST_INITIALS = 4


class _Separators(dict[int, str]):
    """Maps a character that is no letter, digit or mark to a space; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = character.isalnum() or unicodedata.category(character).startswith("M")
        self[code] = character if kept else ("" if unicodedata.category(character) == "Cf" else " ")
        return self[code]


_SEPARATORS = _Separators({ord("&"): " and ", ord("+"): " + "} | {ord(mark): "" for mark in "'’‘ʼ`´"})


def _unaccented(text: str) -> str:
    """Return decomposed `text` without accents, but for those that make another Cyrillic letter (й)."""
    base = ""
    kept = []
    for character in text:
        if ord(character) in _ACCENTS:
            if not "\u0400" <= base <= "\u04ff":
                continue
        else:
            base = character
        kept.append(character)
    return "".join(kept)


def _latinised(match: re.Match[str]) -> str:
    word = match[0]
    return word.translate(_LOOK_ALIKES) if _LATIN.search(word) else word


def fold(text: str) -> str:
    """Return `text` without what does not tell two names apart; '' when nothing is left.

    Case, accents, and forms of one character:
    >>> fold("STARFORGE"), fold("Pokémon Café"), fold("Ｓｔｒａßｅ Ⅳ")
    ('starforge', 'pokemon cafe', 'strasse iv')

    Trademark signs go; punctuation is a space, but an apostrophe is nothing; & is and; + stays:
    >>> fold("NieR™: Half-Life (R)"), fold("Baldur’s Gate"), fold("Salt & Iron+")
    ('nier half life', 'baldurs gate', 'salt and iron +')

    Cyrillic and Greek look-alikes are Latin letters inside a Latin word, and stay what they are in their own:
    >>> fold("Vаlvе") == fold("Valve"), fold("Метро 2033")
    (True, 'метро 2033')
    """
    text = unicodedata.normalize("NFKD", _MARKS.sub(" ", text)).translate(_SEPARATORS)
    text = _unaccented(_WORD.sub(_latinised, text)).casefold().translate(_UNDECOMPOSED)
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _fallback(text: str) -> str:
    """Return the key of a name that is made of signs alone."""
    return " ".join(text.casefold().split())


def title_key(title: str) -> str:
    """Return the key under which a game's title is matched; never '' unless the title is blank.

    >>> title_key("  STARFORGE "), title_key("Starforge®")
    ('starforge', 'starforge')
    >>> title_key("The Long Orbit"), title_key("Long Orbit")
    ('the long orbit', 'long orbit')
    >>> title_key("???")
    '???'
    """
    return fold(title) or _fallback(title)


def publisher_key(name: str) -> str:
    """Return the key under which a publisher's name is matched; never '' unless the name is blank.

    Legal suffixes are taken from the end, as many as there are, but never all of the name:
    >>> publisher_key("VALVE CORP"), publisher_key("Valve"), publisher_key("Nihon Soft Co., Ltd.")
    ('valve', 'valve', 'nihon soft')
    >>> publisher_key("Ubi S.A."), publisher_key("Kaiten K.K."), publisher_key("Nordlys A/S")
    ('ubi', 'kaiten', 'nordlys')
    >>> publisher_key("Brandt GmbH & Co. KG"), publisher_key("Company Inc."), publisher_key("Inc Games")
    ('brandt', 'company', 'inc games')
    """
    words = fold(name).split()
    while taken := _suffix_words(words):
        del words[-taken:]
        if len(words) > 1 and words[-1] == "and":  # what joined the suffix: & Co.
            del words[-1]
    return " ".join(words) or _fallback(name)


def _suffix_words(words: list[str]) -> int:
    """Return how many words at the end of `words` are a legal suffix, 0 if nothing would be left."""
    if len(words) > 1 and words[-1] in LEGAL_SUFFIXES:
        return 1
    for count in range(2, min(_LONGEST_INITIALS, len(words) - 1) + 1):  # S.A. has become two words: s a
        initials = words[-count:]
        if all(len(word) == 1 for word in initials) and "".join(initials) in LEGAL_SUFFIXES:
            return count
    return 0
