"""Portraits drawn on the spot."""

import io

import pytest
from PIL import Image

from local.tenant.directory import portraits


def test_a_portrait_is_the_same_in_every_run() -> None:
    first = portraits.draw("Anna Berg")
    portraits.draw.cache_clear()
    assert portraits.draw("Anna Berg") == first


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("Bilal Conti",), id="another person"),
        pytest.param(("Anna Berg", 2), id="the next version"),
    ],
)
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
