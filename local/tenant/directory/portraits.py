"""Portraits drawn on the spot: recognisable, and visibly different after a change."""

import colorsys
import functools
import io
import random

from PIL import Image, ImageDraw, ImageFont

SIZE = 648  # pixels; the largest square that Microsoft 365 keeps of a profile photo
QUALITY = 85
SKIN = ((255, 224, 196), (241, 194, 150), (224, 172, 125), (190, 134, 90), (141, 85, 54), (90, 56, 37))
HAIR = ((35, 28, 24), (92, 60, 36), (170, 120, 60), (222, 190, 120), (150, 70, 40), (150, 150, 150))
WHITE, INK, LIPS = (255, 255, 255), (40, 40, 48), (176, 58, 66)

Colour = tuple[int, int, int]


@functools.lru_cache(maxsize=64)
def draw(name: str, version: int = 1, size: int = SIZE) -> bytes:
    """Return a square JPEG portrait of `name`, `size` pixels wide.

    The same arguments give the same bytes. Each `version` has another background and shirt and shows its
    number.
    """
    dice = random.Random(name)  # noqa: S311 - a face, not a secret
    image = Image.new("RGB", (size, size), _background(dice, version))
    pen = ImageDraw.Draw(image)
    _draw_person(pen, size / 100, dice, _hue(version * 0.31 + dice.random(), 0.65, 0.55))
    _write(pen, size, _initials(name), version)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def _background(dice: random.Random, version: int) -> Colour:
    # The golden angle: neighbours differ most.
    return _hue(dice.random() + (version - 1) * 0.381966, 0.45, 0.9)


def _hue(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _draw_person(pen: ImageDraw.ImageDraw, unit: float, dice: random.Random, shirt: Colour) -> None:
    skin, hair = dice.choice(SKIN), dice.choice(HAIR)
    width, long_hair, smile = dice.uniform(19, 24), dice.random() < 0.5, dice.uniform(3, 7)

    def oval(x: float, y: float, across: float, down: float, colour: Colour) -> None:
        box = (x - across, y - down, x + across, y + down)
        pen.ellipse([edge * unit for edge in box], fill=colour)

    if long_hair:
        oval(50, 50, width + 8, 32, hair)
    oval(50, 108, 38, 32, shirt)
    pen.rectangle([edge * unit for edge in (44, 62, 56, 80)], fill=skin)
    oval(50, 38, width + 3, 25, hair)
    oval(50, 46, width, 25, skin)
    for side in (-1, 1):
        oval(50 + side * 8, 43, 3.4, 2.6, WHITE)
        oval(50 + side * 8, 43, 1.6, 1.8, INK)
    mouth = [edge * unit for edge in (42, 56 - smile, 58, 56 + smile)]
    pen.chord(mouth, 10, 170, fill=LIPS)


def _write(pen: ImageDraw.ImageDraw, size: int, initials: str, version: int) -> None:
    font = ImageFont.load_default(max(8, size // 9))
    margin = size // 30
    pen.text((margin, size - margin), initials, fill=INK, font=font, anchor="ls")
    pen.text((size - margin, size - margin), str(version), fill=INK, font=font, anchor="rs")


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.split()[:2]).upper()
