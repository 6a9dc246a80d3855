"""A copy of the project's files that the contracts read, to plant faults in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Plant = Callable[[str, str, str], Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Return a function that copies the project with one text replaced in one file, and returns the copy."""

    def planted(file: str, old: str, new: str) -> Path:
        for folder in ("infra", "shared"):
            shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("function_app.py", "local.settings.sample.json", "README.md"):
            shutil.copy(ROOT / name, tmp_path / name)
        content = (tmp_path / file).read_text()
        assert content.count(old) >= 1, f"{old!r} is not in {file}"
        (tmp_path / file).write_text(content.replace(old, new, 1))
        return tmp_path

    return planted
