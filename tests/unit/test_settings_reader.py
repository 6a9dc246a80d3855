"""Secrets that are never shown, and durations."""

import copy
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.settings_reader import Secret, parse_duration

WORDS = "correct horse battery staple, in thirty-two letters"


def logged(secret: object) -> str:
    return logging.LogRecord("x", 0, "x", 0, "%s %r", (secret, secret), None).getMessage()


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param(lambda secret: f"{secret}", id="f-string"),
        pytest.param(lambda secret: f"{secret!r:>30}", id="f-string with repr and width"),
        pytest.param(lambda secret: f"{secret:>30}", id="f-string with width"),
        pytest.param(lambda secret: "{}".format(secret), id="format"),  # noqa: UP032 - another way to the text
        pytest.param(lambda secret: "%s" % secret, id="percent"),  # noqa: UP031 - another way to the text
        pytest.param(logged, id="a log record"),
        pytest.param(lambda secret: repr([secret]), id="in a list"),
        pytest.param(lambda secret: repr({secret: secret}), id="in a dictionary"),
        pytest.param(lambda secret: repr(copy.deepcopy(secret)), id="copied"),
        pytest.param(lambda secret: str(ValueError(secret)), id="in an error"),
        pytest.param(lambda secret: json.dumps({"x": secret}, default=str), id="in JSON, as text"),
    ],
)
def test_a_secret_shows_stars(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(WORDS))

    assert "**********" in shown
    assert "horse" not in shown


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(lambda secret: "".join([secret]), id="join"),
        pytest.param(lambda secret: "x" + secret, id="plus"),
        pytest.param(lambda secret: secret + "x", id="plus, the other way"),
        pytest.param(lambda secret: secret[:4], id="a slice"),
        pytest.param(list, id="its letters"),
        pytest.param(len, id="its length"),
        pytest.param(lambda secret: secret.encode(), id="its bytes"),
        pytest.param(json.dumps, id="JSON"),
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(vars, id="its attributes"),
    ],
)
def test_a_secret_is_not_a_text_and_reveals_nothing(take: Callable[[Any], object]) -> None:
    with pytest.raises((TypeError, AttributeError)):
        take(Secret(WORDS))


def test_a_secret_is_revealed_by_its_method_and_compared_by_its_value() -> None:
    assert Secret(WORDS).reveal() == WORDS
    assert Secret(WORDS) == Secret(WORDS) != Secret("another")
    assert Secret(WORDS) != WORDS
    assert len({Secret(WORDS), Secret(WORDS), Secret("another")}) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("PT2M", 120.0, id="minutes"),
        pytest.param("PT1H30M", 5400.0, id="hours and minutes"),
        pytest.param("P1DT1S", 86_401.0, id="days and seconds"),
        pytest.param("PT0.5S", 0.5, id="half a second"),
        pytest.param(" pt7m ", 420.0, id="lower case and blanks"),
        pytest.param("PT0S", 0.0, id="zero seconds"),
        pytest.param("PT90M", 5400.0, id="more minutes than an hour has"),
        pytest.param("P", None, id="nothing, unsaid"),
        pytest.param("PT", None, id="nothing after the T"),
        pytest.param("", None, id="empty"),
        pytest.param("2M", None, id="no P"),
        pytest.param("P2M", None, id="months, which have no length"),
        pytest.param("P1Y", None, id="years, which have no fixed length either"),
        pytest.param("P1W", None, id="weeks"),
        pytest.param("PT1S1M", None, id="in the wrong order"),
        pytest.param("PT1,5S", None, id="a decimal comma"),
        pytest.param("PT.5S", None, id="a decimal without its nought"),
        pytest.param("PT-1S", None, id="negative"),
        pytest.param("PT1e3S", None, id="an exponent"),
        pytest.param("PT\u0662M", None, id="Arabic digits"),
        pytest.param("PT2M PT3M", None, id="two"),
        pytest.param("PT" + "9" * 400 + "S", None, id="beyond every number"),
    ],
)
def test_a_duration_is_iso_8601_of_days_and_less(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@given(
    days=st.integers(0, 400), hours=st.integers(0, 99), minutes=st.integers(0, 99), seconds=st.integers(0, 99)
)
def test_a_duration_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, seconds: int) -> None:
    text = f"P{days}DT{hours}H{minutes}M{seconds}S"

    assert parse_duration(text) == days * 86400 + hours * 3600 + minutes * 60 + seconds
