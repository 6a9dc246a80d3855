"""The package as Azure gets it: the deployed files, and beside them the pinned packages."""

import shutil
from importlib.metadata import distribution
from pathlib import Path

import pytest

from local.package.files import list_deployed
from local.package.pins import read_pins

ROOT = Path(__file__).parents[2]
SITE_PACKAGES = Path(".python_packages", "lib", "site-packages")  # where Azure's build installs them


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what is deployed and, from the installed ones, the pinned packages; nothing else."""
    folder = tmp_path_factory.mktemp("wwwroot")
    for path in list_deployed(ROOT):
        copy(ROOT / path, folder / path)
    for name, version in read_pins((folder / "requirements.txt").read_text()).versions.items():
        assert distribution(name).version == version
        copy_distribution(name, folder / SITE_PACKAGES)
    return folder


def copy_distribution(name: str, target: Path) -> None:
    """Copy the files of an installed package, without its scripts and what Python compiled."""
    for path in distribution(name).files or ():
        if path.parts[0] != ".." and path.suffix != ".pyc":
            copy(Path(str(path.locate())), target / path)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
