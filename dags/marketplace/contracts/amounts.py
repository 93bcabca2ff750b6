"""Reading amounts of money and numbers: a closed list of forms, because 1,234 and 1,23 mean different things.

Plain: 12.50, -12.50, +3. Accepted with a warning, since its meaning is certain all the same: thousands in
proper groups (1,234.50 or 1 234,50 or 1.234,50), a decimal comma before one or two digits (12,50), a
currency sign or code. Refused: odd groups (12,34.5), exponents, brackets for negatives, nan and inf.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

from marketplace.contracts.codes import currencies
from marketplace.contracts.values import Invalid, Parsed

AMOUNT_DECIMALS = 4
_AMOUNT_STEP = Decimal(1).scaleb(-AMOUNT_DECIMALS)
AMOUNT_LIMIT = Decimal(10) ** 14  # numeric(18,4): fourteen digits before the point
INTEGER_LIMIT = 2**31

CLEAN_AMOUNT = re.compile(r"-?(?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,4})?")

_PLAIN = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_LOOSE = re.compile(r"[0-9]+\.?|[0-9]*\.[0-9]+")  # 007.50, 5. and .5
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")
_COMMA_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_DOT_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]{1,2}|(?:\.[0-9]{3}){2,})")
_SPACE_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?: [0-9]{3})+(?:[.,][0-9]+)?")

_SIGN = r"(?P<{0}>[$€£¥₩₹₽₺₴₪฿]|[A-Z]{{3}}|[A-Z]{{1,2}}\$)"
_WITH_CURRENCY = re.compile(
    rf"(?P<minus>[+-]?)(?:{_SIGN.format('before')} ?)?(?P<inner>[+-]?)(?P<digits>[0-9., ]*[0-9.])"
    rf"(?: ?{_SIGN.format('after')})?",
    re.IGNORECASE,
)
_ODD_CHARACTERS = str.maketrans({"−": "-", "\xa0": " ", "\u202f": " ", "\u2009": " ", "'": " ", "’": " "})


def parse_amount(text: str) -> Parsed:
    """Read an amount of money as a plain decimal of at most 14 digits before the point and 4 after it.

    More decimals are rounded half to even, with a warning. Raises Invalid (invalid_amount, out_of_range).
    """
    digits, note = _decimal_digits(text, "invalid_amount", "reformatted_amount")
    amount = Decimal(digits)
    if amount.adjusted() < 18 and _decimals(digits) > AMOUNT_DECIMALS:
        rounded = amount.quantize(_AMOUNT_STEP, ROUND_HALF_EVEN)
        if rounded != amount and not note:
            note = ("rounded_amount", f"rounded to {rounded}")
        amount = rounded
    if abs(amount) >= AMOUNT_LIMIT:
        raise Invalid("out_of_range", "it has more than 14 digits before the point")
    return Parsed(f"{amount:f}", *note)


def parse_number(text: str) -> Parsed:
    """Read a plain decimal number of any size. Raises Invalid (invalid_number)."""
    digits, note = _decimal_digits(text, "invalid_number", "reformatted_number", currency=False)
    return Parsed(digits, *note)


def parse_integer(text: str) -> Parsed:
    """Read a whole number of 32 bits; 5.0 is 5 with a warning.

    Raises Invalid (invalid_integer, out_of_range).
    """
    digits, note = _decimal_digits(text, "invalid_integer", "reformatted_integer", currency=False)
    whole, _, fraction = digits.partition(".")
    if fraction.strip("0"):
        raise Invalid("invalid_integer", "it is not a whole number")
    if fraction and not note:
        note = ("reformatted_integer", f"read as {whole}")
    if len(whole) > 11 or not -INTEGER_LIMIT <= int(whole) < INTEGER_LIMIT:
        raise Invalid("out_of_range", "it does not fit an integer of 32 bits")
    return Parsed(str(int(whole)), *note)


def _decimals(digits: str) -> int:
    return len(digits.partition(".")[2])


def _decimal_digits(
    text: str, kind: str, warning: str, *, currency: bool = True
) -> tuple[str, tuple[str, str] | tuple[()]]:
    """Return `text` as sign, digits and decimal point, and the warning that any other form deserves."""
    if _PLAIN.fullmatch(text):
        return text.removeprefix("+"), ()
    match = _WITH_CURRENCY.fullmatch(text.translate(_ODD_CHARACTERS))
    if match is None or (match["minus"] and match["inner"]) or (match["before"] and match["after"]):
        raise Invalid(kind, "it has none of the accepted forms")
    sign = match["before"] or match["after"]
    if sign and not currency:
        raise Invalid(kind, "a currency has no place here")
    if sign and len(sign) == 3 and sign.isalpha() and sign.upper() not in currencies():
        raise Invalid(kind, f"{sign} is no currency")
    digits = match["digits"]
    if _COMMA_GROUPS.fullmatch(digits):
        plain = digits.replace(",", "")
    elif _DOT_GROUPS.fullmatch(digits):
        plain = digits.replace(".", "").replace(",", ".")
    elif _SPACE_GROUPS.fullmatch(digits):
        plain = digits.replace(" ", "").replace(",", ".")
    elif _DECIMAL_COMMA.fullmatch(digits):
        plain = digits.replace(",", ".")
    elif _LOOSE.fullmatch(digits):
        plain = digits
    else:
        raise Invalid(kind, "its digits are grouped in no accepted way")
    whole, _, fraction = plain.partition(".")
    minus = "-" if "-" in (match["minus"], match["inner"]) else ""
    plain = minus + (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    return plain, (warning, f"read as {plain}")
