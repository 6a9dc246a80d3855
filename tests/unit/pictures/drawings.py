"""Test images for `shared.pictures`."""

import functools
from io import BytesIO
from typing import Any

from PIL import Image

RED, GREEN, BLUE, YELLOW = (220, 30, 40), (30, 160, 60), (40, 60, 210), (240, 220, 50)
WHITE = (255, 255, 255)


def quarters(width: int = 120, height: int = 120) -> Image.Image:
    """Draw red and green above blue and yellow."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(YELLOW, (width // 2, height // 2, width, height))
    return image


@functools.cache
def grain(width: int, height: int) -> Image.Image:
    """Draw colours that change smoothly over large distances and small, as a photograph's do."""
    image = Image.new("RGB", (width, height), (120, 110, 100))
    for across, weight in ((4, 0.5), (32, 0.35), (256, 0.35), (1024, 0.35)):
        size = (across, max(1, across * height // width))
        noise = Image.merge("RGB", [Image.effect_noise(size, 90) for _ in "RGB"])
        image = Image.blend(image, noise.resize((width, height), Image.Resampling.BICUBIC), weight)
    return image


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return the image as a file of the format `form`."""
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
