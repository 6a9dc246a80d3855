"""Every format that Pillow can write: five are read, the others refused, and only memory is touched."""

import textwrap

import pytest

from shared.pictures.thumbnails import UnreadableImage, render
from tests.unit.pictures.assertions import Colour, alike, assert_three_plain_jpegs, corners
from tests.unit.pictures.corpus import NUMBERS, SMALL, formats, in_mode, written
from tests.unit.pictures.cost import in_a_process
from tests.unit.pictures.drawings import saved

READ = {"BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP"}
WRITTEN = list(written(READ))


def expected_corners(mode: str) -> list[Colour]:
    """Return the colours of the quarters after their conversion to a mode."""
    return corners(saved(in_mode(SMALL, mode).convert("RGB").resize((64, 64)), "JPEG", quality=95))


@pytest.mark.parametrize(
    ("form", "mode", "data"),
    [pytest.param(*case, id=f"{case[0]} {case[1]}") for case in WRITTEN],
)
def test_every_mode_of_the_formats_that_are_read_gives_its_picture(form: str, mode: str, data: bytes) -> None:
    thumbnails = render(data)

    assert_three_plain_jpegs(thumbnails)
    seen = corners(thumbnails.large)
    if mode not in NUMBERS:
        assert all(map(alike, seen, expected_corners(mode), [30] * 4)), (form, seen, expected_corners(mode))


def test_every_other_format_is_refused() -> None:
    others = formats() - READ
    files = list(written(others))

    assert {form for form, _, _ in files} == others - {"BUFR", "GRIB", "HDF5", "WMF"}  # only stubs
    for form, mode, data in files:
        with pytest.raises(UnreadableImage, match="neither"):
            pytest.fail(f"{form} {mode} gave {render(data)}")


TOUCHED = """
    import sys
    from shared.pictures.thumbnails import UnreadableImage, render
    from tests.unit.pictures.corpus import RICH, formats, written

    def render_all():
        for data in files:
            try:
                render(data)
            except UnreadableImage:
                pass

    files = [*RICH.values(), *[data for _, _, data in written(formats())]]
    render_all()  # loads whatever is loaded on first use
    seen, outside = [], ("open", "os.", "subprocess.", "socket.", "shutil.", "tempfile.", "ctypes.", "import")
    sys.addaudithook(lambda event, args: event.startswith(outside) and seen.append((event, args)))
    render_all()
    print(len(files), seen)
"""


def test_rendering_opens_no_file_and_starts_no_program_such_as_ghostscript() -> None:
    done = in_a_process(["-c", textwrap.dedent(TOUCHED)])

    assert done.returncode == 0, done.stderr.decode()
    rendered, touched = done.stdout.decode().split(maxsplit=1)
    assert int(rendered) > len(WRITTEN)
    assert touched.strip() == "[]"
