"""The zip that can be deployed: the same bytes for the same files, whenever and wherever it is made."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

EARLIEST = (1980, 1, 1, 0, 0, 0)  # of a zip's entries
MODE = 0o100644 << 16  # a file that its owner may write and everyone may read
UNIX = 3


def write_archive(root: Path, files: Iterable[PurePosixPath], target: Path) -> None:
    """Write *files* of *root* to the zip *target*; their times and modes on this machine do not count."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(target, "w", compression=ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(files):
            entry = ZipInfo(str(path), EARLIEST)
            entry.create_system, entry.external_attr = UNIX, MODE
            entry.compress_type = ZIP_DEFLATED
            archive.writestr(entry, (root / path).read_bytes())
