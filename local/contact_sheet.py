"""Draw a contact sheet: Exchange's photo, and SharePoint's before and after, side by side."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

TILE = 160  # pixels
GAP = 20
CAPTION = 26
HEAD = ("Exchange", "SharePoint before", "SharePoint after")
PAPER, INK, NOTHING = "#ffffff", "#1b1b1b", "#e4e4e4"
FONT = ImageFont.load_default(15)


def draw_contact_sheet(path: Path, rows: Sequence[tuple[str, Sequence[bytes]]]) -> None:
    """Write a PNG, and its folder: two rows side by side, each a caption and three images (b"": none)."""
    panel = (3 * TILE + 2 * GAP, CAPTION + TILE + GAP)
    columns, lines = 2, (len(rows) + 1) // 2
    size = (GAP + columns * (panel[0] + 2 * GAP), GAP + CAPTION + lines * (panel[1] + GAP))
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for column in range(columns):
        for number, title in enumerate(HEAD):
            left = GAP + column * (panel[0] + 2 * GAP) + number * (TILE + GAP)
            pen.text((left, GAP), title, INK, FONT)
    for number, (caption, images) in enumerate(rows):
        left = GAP + number % columns * (panel[0] + 2 * GAP)
        top = GAP + CAPTION + number // columns * (panel[1] + GAP)
        _draw_panel(sheet, (left, top), caption, images)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _draw_panel(sheet: Image.Image, corner: tuple[int, int], caption: str, images: Sequence[bytes]) -> None:
    pen, (left, top) = ImageDraw.Draw(sheet), corner
    for number, data in enumerate(images):
        place = (left + number * (TILE + GAP), top)
        if data:
            sheet.paste(_tile(data), place)
        else:
            pen.rectangle((*place, place[0] + TILE, place[1] + TILE), fill=NOTHING)
            pen.text((place[0] + TILE // 2, place[1] + TILE // 2), "none", INK, FONT, anchor="mm")
    pen.text((left, top + TILE + 4), caption, INK, FONT)


def _tile(data: bytes) -> Image.Image:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    return ImageOps.fit(image, (TILE, TILE))
