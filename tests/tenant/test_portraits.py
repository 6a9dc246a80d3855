"""Portraits drawn on the spot."""

import io

import pytest
from PIL import Image

from local.tenant.directory import portraits


def test_a_portrait_is_the_same_in_every_run() -> None:
    first = portraits.draw("Anna Berg")
    portraits.draw.cache_clear()
    assert portraits.draw("Anna Berg") == first


@pytest.mark.parametrize("other", [("Bilal Conti",), ("Anna Berg", 2)], ids=["a person", "a version"])
def test_another_portrait_is_visibly_different(other) -> None:
    one, two = (Image.open(io.BytesIO(portraits.draw(*who))) for who in (("Anna Berg",), other))
    corner = (5, 5)  # the background
    difference = [abs(a - b) for a, b in zip(one.getpixel(corner), two.getpixel(corner), strict=True)]
    assert max(difference) > 30, difference


@pytest.mark.parametrize("size", [48, portraits.SIZE])
def test_a_portrait_is_a_square_jpeg_of_the_size_asked_for(size) -> None:
    image = Image.open(io.BytesIO(portraits.draw("Zoë Åkesson", size=size)))
    image.load()
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (size, size))


def test_a_shared_photo_is_the_same_for_all_and_drawn_when_it_is_read(call, admin) -> None:
    drawn = portraits.draw.cache_info().misses
    people = admin.add(count=30, photo="shared")
    answers = [call("GET", f"https://graph.microsoft.com/v1.0/users/{each}/photo") for each in people]
    assert len({answer.json()["@odata.mediaEtag"] for answer in answers}) == 30
    assert portraits.draw.cache_info().misses == drawn
    assert len({admin.photo(each) for each in people}) == 1
    assert portraits.draw.cache_info().misses <= drawn + 1
