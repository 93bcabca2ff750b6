"""Profiles say how often each defect is, and a mistake in one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marketplace import settings
from marketplace.mockdata import profile
from marketplace.mockdata.dials import DIALS
from marketplace.mockdata.profile import Profile, ProfileError


def test_there_are_three():
    assert profile.names() == ["clean", "normal", "terrible"]


def test_each_can_be_loaded_and_is_messier_than_the_one_before():
    clean, normal, terrible = map(profile.load, ("clean", "normal", "terrible"))
    assert clean.dials == {}
    assert set(terrible.dials) == set(DIALS)
    assert all(0 < rate < 1 for rate in terrible.dials.values())
    assert all(terrible.rate(dial) >= rate for dial, rate in normal.dials.items())


def test_the_dials_of_a_file_stand_in_the_order_of_the_list():
    for name in profile.names():
        dials = list(profile.load(name).dials)
        assert dials == [dial for dial in DIALS if dial in dials]


def test_most_files_of_the_terrible_profile_can_be_loaded():
    terrible = profile.load("terrible")
    set_aside = (
        "empty_file", "not_csv", "gzip", "utf_16", "latin_1", "wrong_delimiter", "missing_column", "extra_column",
        "duplicated_column",
    )  # fmt: skip
    assert 0.02 < sum(map(terrible.rate, set_aside)) < 0.06


def test_a_dial_that_is_not_set_is_at_zero_and_one_that_is_unknown_an_error():
    assert Profile("x").rate("padding") == 0
    with pytest.raises(KeyError):
        Profile("x").rate("pading")


def test_a_profile_can_be_turned():
    turned = profile.load("normal").turned({"padding": 1, "crlf": 0})
    assert (turned.rate("padding"), turned.rate("crlf")) == (1.0, 0.0)
    assert turned.rate("letter_case") == profile.load("normal").rate("letter_case")


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"pading": 0.1}, "there is no dial 'pading'; did you mean 'padding'?"),
        ({"padding": 1.5}, "dial 'padding' is 1.5; it must be a number from 0 to 1"),
        ({"padding": True}, "dial 'padding' is True"),
        ({"padding": "much"}, "dial 'padding' is 'much'"),
        (["padding"], "dials must be a mapping"),
    ],
    ids=["unknown", "too large", "boolean", "text", "list"],
)
def test_a_mistake_in_a_dial_is_named(dials: Any, message: str):
    with pytest.raises(ProfileError, match=r"^clean: ") as caught:
        profile.load("clean").turned(dials)
    assert message in str(caught.value)


def test_an_unknown_profile_is_named_beside_those_there_are():
    with pytest.raises(ProfileError, match="no profile 'awful'; there are clean, normal, terrible"):
        profile.load("awful")


@pytest.mark.parametrize(
    "content", ["", "[]", "rates: {}", "dials: [padding]"], ids=["nothing", "list", "other key", "list of dials"]
)
def test_a_file_that_is_no_profile_is_named(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mockdata").mkdir()
    (tmp_path / "mockdata" / "odd.yaml").write_text(content)
    monkeypatch.setattr(settings, "include_dir", lambda: tmp_path)
    with pytest.raises(ProfileError, match=r"odd\.yaml"):
        profile.load("odd")
