"""The zip of a release: the deployed files, and the same bytes every time."""

import os
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from local.package.archive import write_archive
from local.package.files import list_deployed
from tests.package.conftest import ROOT, copy


def test_two_builds_from_two_machines_are_the_same_bytes(tmp_path: Path) -> None:
    files = list_deployed(ROOT)
    for path in files:
        copy(ROOT / path, tmp_path / "clone" / path)
        (tmp_path / "clone" / path).chmod(0o600)
        os.utime(tmp_path / "clone" / path, (1, 1))

    write_archive(ROOT, files, tmp_path / "first.zip")
    write_archive(tmp_path / "clone", reversed(files), tmp_path / "second.zip")

    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_the_zip_holds_the_deployed_files(tmp_path: Path) -> None:
    files = list_deployed(ROOT)
    write_archive(ROOT, files, tmp_path / "out" / "app.zip")

    with ZipFile(tmp_path / "out" / "app.zip") as archive:
        assert [PurePosixPath(name) for name in archive.namelist()] == files
        assert archive.read("host.json") == (ROOT / "host.json").read_bytes()
        assert archive.testzip() is None
