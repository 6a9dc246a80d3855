"""Other files and too large pictures raise `UnreadableImage`, at almost no cost."""

import struct

import pytest

from shared.pictures.formats import MAX_BYTES, MAX_MEMORY, MAX_PARTS, MAX_PIXELS, MAX_SCANS, MAX_SIDE, unpack
from shared.pictures.thumbnails import UnreadableImage, render
from tests.unit.pictures import files as files
from tests.unit.pictures.assertions import assert_three_plain_jpegs, opened
from tests.unit.pictures.corpus import GOOD, PLAIN
from tests.unit.pictures.files import bmp_of, gif_of, jpeg_of, jpeg_with, png_chunk, png_of, png_with, webp_of


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg_of(5000, 4001), id="jpeg"),
        pytest.param(jpeg_of(65500, 65500), id="jpeg, as large as can be"),
        pytest.param(png_of(5000, 4001), id="png"),
        pytest.param(png_of(2**31 - 1, 2**31 - 1), id="png, as large as can be"),
        pytest.param(gif_of((5000, 4001), (10, 10)), id="gif"),
        pytest.param(gif_of((10, 10), (10_000, 10_000)), id="gif with a larger frame"),
        pytest.param(bmp_of(5000, 4001), id="bmp"),
        pytest.param(bmp_of(10_000, -9_999), id="bmp of 100 megapixels, upside down"),
        pytest.param(webp_of(b"VP8 ", 5000, 4001), id="webp"),
        pytest.param(webp_of(b"VP8L", 5000, 4001), id="lossless webp"),
        pytest.param(webp_of(b"VP8X", 2**24, 2**24), id="webp with a large canvas"),
    ],
)
def test_a_picture_of_more_than_20_megapixels_is_refused_by_its_header(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=f"more than {MAX_PIXELS}"):
        render(data)


@pytest.mark.parametrize("size", [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (1, MAX_PIXELS)])
def test_a_picture_with_too_long_a_side_is_refused_by_its_header(size: tuple[int, int]) -> None:
    for data in (png_of(*size), bmp_of(*size)):
        with pytest.raises(UnreadableImage, match=f"more than {MAX_SIDE} on a side"):
            render(data)


def progressive_of(width: int, height: int, channels: int) -> bytes:
    return b"\xff\xd8" + files.jpeg_frame(0xC2, width, height, channels) + files.scan(1, 0, 0, 0, b"")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(webp_of(b"VP8 ", 3000, 3000), id="webp"),
        pytest.param(webp_of(b"VP8X", 3000, 3000), id="webp with a large canvas"),
        pytest.param(progressive_of(4100, 4000, channels=4), id="progressive jpeg of four inks"),
        pytest.param(progressive_of(16_000, 1000, channels=3), id="progressive jpeg too narrow to reduce"),
    ],
)
def test_a_picture_that_would_take_too_much_memory_is_refused_by_its_header(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=f"more than {MAX_MEMORY} bytes"):
        render(data)


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    assert_three_plain_jpegs(render(files.jpeg_of_scans(64, 64, MAX_SCANS)))
    with pytest.raises(UnreadableImage, match="scans"):
        render(files.jpeg_of_scans(64, 64, MAX_SCANS + 1))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg_with(PLAIN["JPEG"], *[(0xFE, b"")] * MAX_PARTS), id="jpeg with comments"),
        pytest.param(b"\xff\xd8" + b"\xff\xd0" * MAX_PARTS + PLAIN["JPEG"][2:], id="jpeg with restarts"),
        pytest.param(png_with(PLAIN["PNG"], *[png_chunk(b"IDAT", b"")] * MAX_PARTS), id="png"),
        pytest.param(png_with(PLAIN["PNG"], *[png_chunk(b"tEXt", b"")] * MAX_PARTS), id="png with texts"),
    ],
)
def test_a_picture_of_too_many_parts_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=f"more than {MAX_PARTS}"):
        render(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_file_of_too_many_bytes_is_refused(form: str) -> None:
    assert_three_plain_jpegs(render(PLAIN[form].ljust(MAX_BYTES)))
    with pytest.raises(UnreadableImage, match=f"more than {MAX_BYTES}"):
        render(PLAIN[form].ljust(MAX_BYTES + 1))


def test_a_bmp_of_run_lengths_is_refused_although_pillow_reads_it() -> None:
    plain = GOOD["bmp with a palette"]
    (start,) = struct.unpack_from("<L", plain, 10)
    rows = b"\x78\1\0\0" * 120  # 120 pixels of colour 1, end of row
    coded = plain[:30] + b"\1\0\0\0" + plain[34:start] + rows + b"\0\1"

    assert opened(coded, "BMP").size == (120, 120)
    with pytest.raises(UnreadableImage, match="compressed BMP"):
        render(coded)


# Asked for a lossless JPEG at half its size, libjpeg writes whole rows; Pillow 12 had room for half of one.
LOSSLESS = files.lossless_jpeg(1600, 1600)
BASELINE = files.jpeg_frame(0xC0, 1600, 1600)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LOSSLESS, id="as it is"),
        pytest.param(LOSSLESS.replace(b"\xff\xc3", b"\xff\xff\xff\xc3"), id="filled up"),
        pytest.param(b"\xff\xd8" + files.jpeg_frame(0xDE, 1600, 1600) + LOSSLESS[2:], id="hierarchical"),
    ],
)
def test_a_lossless_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match="neither baseline nor progressive"):
        render(data)


def test_no_decoder_sees_the_lossless_frame_of_a_jpeg_that_has_another() -> None:
    for data in (
        b"\xff\xd8" + BASELINE + LOSSLESS[2:],
        LOSSLESS.replace(b"\xff\xc4", BASELINE + b"\xff\xc4"),
    ):
        assert b"\xff\xc3" in data
        assert b"\xff\xc3" not in unpack(data).pixels


@pytest.mark.parametrize("length", [b"\0\0", b"\0\1"])
def test_a_jpeg_is_refused_if_a_decoder_might_read_other_segments_than_we_do(length: bytes) -> None:
    hidden = files.segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0" + files.jpeg_frame(0xC3, 1600, 1600))
    for marker in (0xDB, 0xDD, 0xE0, 0xFE):
        with pytest.raises(UnreadableImage, match="less than no bytes"):
            render(b"\xff\xd8\xff" + bytes([marker]) + length + hidden + BASELINE + LOSSLESS[2:])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xd8\xff", id="only the first bytes of a JPEG"),
        pytest.param(b"<html><body>Sign in</body></html>", id="a page"),
        pytest.param(b'{"error": {"code": "ImageNotFound"}}', id="an error"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"/>', id="svg"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file", id="a script"),
        pytest.param(b"%PDF-1.7\n" + GOOD["jpeg"], id="pdf"),
        pytest.param(b"GIF89a=1;/*", id="a script that begins as a GIF"),
        pytest.param(b"BM=1;/*" + bytes(90), id="a script that begins as a BMP"),
        pytest.param(b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), id="sound"),
        pytest.param(bmp_of(8, 8, compression=4) + GOOD["jpeg"], id="a JPEG in a BMP"),
        pytest.param(webp_of(b"VP8L", 8, 8), id="a WebP without pixels"),
        pytest.param(jpeg_of(8, 0), id="a JPEG whose height follows its pixels"),
        pytest.param(GOOD["jpeg"].replace(b"\xff\xc0", b"\xff\xc9"), id="a JPEG in arithmetic code"),
        pytest.param(jpeg_of(0, 8), id="a JPEG without width"),
        pytest.param(png_of(0, 8), id="a PNG without width"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b""), id="a PNG without a picture"),
        pytest.param(b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b";", id="a GIF without a picture"),
        # Pillow would skip the stray byte, see a frame of 100 megapixels, and warn.
        pytest.param(gif_of((10, 10), (10_000, 10_000)).replace(b",", b"\0,"), id="a GIF with a stray byte"),
    ],
)
def test_every_other_file_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        render(data)
    assert not isinstance(refusal.value.__cause__, Warning)


def test_the_message_of_a_refusal_quotes_no_bytes_of_the_file() -> None:
    data = png_with(PLAIN["PNG"], png_chunk(b"SECR", b"", crc=1))

    with pytest.raises(UnreadableImage) as refusal:
        render(data)
    assert "SECR" in str(refusal.value.__cause__)
    assert "SECR" not in str(refusal.value)


class OutOfMemory(bytes):
    """Bytes whose inspection runs out of memory."""

    def startswith(self, *_: object) -> bool:
        raise MemoryError


def test_running_out_of_memory_does_not_make_a_picture_unreadable() -> None:
    with pytest.raises(MemoryError):
        render(OutOfMemory(PLAIN["JPEG"]))
