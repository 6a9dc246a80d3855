"""Every photo is rendered as three correct thumbnails."""

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageFile, ImageStat

from shared.pictures.thumbnails import QUALITY, SIZES, Thumbnails, UnreadableImage, render
from tests.unit.pictures.assertions import alike, assert_three_plain_jpegs, centre, corners, decibels, opened
from tests.unit.pictures.corpus import FRAMES, GOOD, PLAIN, QUARTERS
from tests.unit.pictures.drawings import BLUE, GREEN, RED, YELLOW, grain, quarters, saved


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in GOOD.items()])
def test_every_format_gives_three_plain_jpegs_of_the_same_picture(data: bytes) -> None:
    thumbnails = render(data)

    assert_three_plain_jpegs(thumbnails)
    for size, thumbnail in thumbnails.items():
        seen = corners(thumbnail)
        assert all(map(alike, seen, (RED, GREEN, BLUE, YELLOW))), (size, seen)


def test_thumbnails_are_named_by_the_letters_of_sharepoints_file_names() -> None:
    thumbnails = Thumbnails(b"s", b"m", b"l")

    assert list(thumbnails.items()) == [("S", b"s"), ("M", b"m"), ("L", b"l")]
    assert SIZES == {"S": 48, "M": 72, "L": 300}


@pytest.mark.parametrize("size", [pytest.param((360, 120), id="wide"), pytest.param((120, 360), id="tall")])
@pytest.mark.parametrize("scale", [pytest.param(1, id="small"), pytest.param(9, id="large")])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_central_square_is_shown(form: str, scale: int, size: tuple[int, int]) -> None:
    width, height = (length * scale for length in size)
    short = min(width, height)
    image = Image.new("RGB", (width, height), "black")
    image.paste(quarters(short, short), ((width - short) // 2, (height - short) // 2))
    thumbnail = render(saved(image, form)).large
    large = opened(thumbnail)

    edges = [large.getpixel(at) for at in ((3, 3), (296, 3), (3, 296), (296, 296))]
    assert all(map(alike, corners(thumbnail), (RED, GREEN, BLUE, YELLOW)))
    assert all(map(alike, edges, (RED, GREEN, BLUE, YELLOW), [25] * 4)), edges


@pytest.mark.parametrize(
    "size",
    [(1, 1), (2, 3), (47, 48), (301, 299), (599, 601), (1199, 1200), (3000, 1), (1, 3000), (2401, 1801)],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_pictures_of_any_size_fill_their_thumbnails(form: str, size: tuple[int, int]) -> None:
    thumbnails = render(saved(Image.new("RGB", size, BLUE), form))

    assert_three_plain_jpegs(thumbnails)
    for name, thumbnail in thumbnails.items():
        assert alike(ImageStat.Stat(opened(thumbnail)).mean, BLUE, 3), name


@pytest.mark.parametrize("form", [pytest.param("PNG", id="apng"), pytest.param("GIF", id="gif"), "WEBP"])
def test_an_animation_shows_its_first_frame(form: str) -> None:
    data = saved(FRAMES[0], form, save_all=True, append_images=FRAMES[1:], duration=100)

    assert alike(centre(data), RED)


def test_a_gifs_frame_that_is_larger_than_its_screen_is_shown_whole() -> None:
    data = bytearray(saved(QUARTERS.quantize(8), "GIF"))
    struct.pack_into("<HH", data, 6, 10, 10)

    assert all(map(alike, corners(render(bytes(data)).large), (RED, GREEN, BLUE, YELLOW)))


@pytest.mark.parametrize(
    ("form", "size", "options"),
    [
        pytest.param("JPEG", (4000, 3000), {"quality": 92}, id="baseline jpeg"),
        pytest.param("JPEG", (2800, 2700), {"quality": 92, "progressive": True}, id="progressive jpeg"),
        pytest.param("PNG", (1600, 1500), {"compress_level": 1}, id="png"),
    ],
)
def test_reduced_decoding_of_large_pictures_costs_no_quality(
    form: str, size: tuple[int, int], options: dict[str, int | bool]
) -> None:
    data = saved(grain(4000, 3000).crop((0, 0, *size)), form, **options)
    short = min(size)
    left, top = ((length - short) // 2 for length in size)
    square = opened(data, form).crop((left, top, left + short, top + short))
    for name, thumbnail in render(data).items():
        best = square.resize((SIZES[name], SIZES[name]), Image.Resampling.LANCZOS)
        encoded = opened(saved(best, "JPEG", quality=QUALITY, subsampling="4:4:4"))
        loss = decibels(encoded, best) - decibels(opened(thumbnail), best)
        assert loss < 0.35, f"{name}: {loss:.2f} dB worse than from all the pixels"


def test_a_picture_full_of_noise_is_written_whole() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((300, 300), 255) for _ in "RGB"])
    thumbnails = render(saved(noise, "PNG"))

    assert_three_plain_jpegs(thumbnails)
    assert len(thumbnails.large) > 90_000  # longer than Pillow's guess, a byte a pixel


def test_the_same_bytes_give_the_same_thumbnails_in_many_threads_at_once() -> None:
    files = list(GOOD.values())
    alone = [render(data) for data in files]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(render, files * 4))

    assert together == alone * 4


def test_rendering_leaves_pillows_globals_and_the_warning_filters_unchanged() -> None:
    def globals_now() -> tuple[object, ...]:
        pillow = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK)
        return (*pillow, list(warnings.filters))

    before = globals_now()
    render(PLAIN["JPEG"])
    with pytest.raises(UnreadableImage):
        render(PLAIN["JPEG"][:-100])
    assert globals_now() == before
