"""Damaged pictures give thumbnails or an `UnreadableImage`, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.pictures.thumbnails import UnreadableImage, render
from tests.unit.pictures.assertions import alike, assert_thumbnails_or_a_refusal, centre
from tests.unit.pictures.corpus import GOOD, PLAIN, RICH
from tests.unit.pictures.drawings import RED
from tests.unit.pictures.fuzzed import findings

PICTURES = 800  # a few seconds; `make fuzz-pictures` renders as many as there is time for


def test_pictures_damaged_at_random_neither_crash_nor_exceed_their_bounds() -> None:
    assert not [report for _, report in findings(0, PICTURES)]


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in RICH.items()])
def test_a_picture_cut_at_every_tenth_byte_gives_thumbnails_or_is_unreadable(data: bytes) -> None:
    rendered = [end for end in range(0, len(data), 10) if assert_thumbnails_or_a_refusal(data[:end])]

    assert all(end > len(data) / 4 for end in rendered)  # what is rendered has its first frame whole


@pytest.mark.parametrize(
    "data", [pytest.param(data, id=name) for name, data in GOOD.items() if name != "two in one jpeg"]
)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_picture_that_ends_early_is_unreadable(data: bytes, share: float) -> None:
    with pytest.raises(UnreadableImage):
        render(data[: int(len(data) * share)])


JUNK = {
    "zeros": bytes(5000),
    "a page": b"<html><script>alert(1)</script></html>",
    "a zip": b"PK\3\4" + bytes(30),
    "a pdf": b"%PDF-1.7\n%%EOF",
    "another picture": RICH["jpeg in inks"],
}


@pytest.mark.parametrize("junk", [pytest.param(junk, id=name) for name, junk in JUNK.items()])
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in PLAIN.items()])
def test_what_follows_a_picture_changes_nothing(data: bytes, junk: bytes) -> None:
    assert alike(centre(data + junk), RED)


@pytest.mark.parametrize("junk", [pytest.param(junk, id=name) for name, junk in JUNK.items()])
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in PLAIN.items()])
def test_a_picture_behind_other_bytes_is_unreadable(data: bytes, junk: bytes) -> None:
    if junk == JUNK["another picture"]:
        assert render(junk + data) == render(junk)
    else:
        with pytest.raises(UnreadableImage):
            render(junk + data)


MAGIC = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBPVP8 "]


@settings(max_examples=150)
@given(st.builds(bytes.__add__, st.sampled_from(MAGIC), st.binary(max_size=300)))
def test_arbitrary_bytes_give_thumbnails_or_are_unreadable_and_nothing_else(data: bytes) -> None:
    assert_thumbnails_or_a_refusal(data)
