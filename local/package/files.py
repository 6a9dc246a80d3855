"""The files that are deployed: what azd copies from a working tree, and what does not belong there."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

IGNORE_FILE = ".funcignore"
# azd leaves these out whatever the file says: github.com/Azure/azure-dev, cli/azd/pkg/project.
ALWAYS_IGNORED = (".azure/", IGNORE_FILE, "local.settings.json")
APP_FILES = frozenset({"LICENSE", "function_app.py", "host.json", "requirements.txt"})
APP_PACKAGE = "shared"


def list_deployed(root: Path) -> list[PurePosixPath]:
    """Return the files below *root* that `.funcignore` does not exclude, relative and sorted.

    An excluded folder is not entered, as in Git and azd.
    """
    patterns = (root / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    ignored = GitIgnoreSpec.from_lines([*patterns, *ALWAYS_IGNORED])
    return sorted(_walk(root, ignored))


def _walk(root: Path, ignored: GitIgnoreSpec) -> Iterator[PurePosixPath]:
    for folder, folders, files in os.walk(root):
        below = PurePosixPath(Path(folder).relative_to(root).as_posix())
        folders[:] = [name for name in folders if not ignored.match_file(f"{below / name}/")]
        yield from (below / name for name in files if not ignored.match_file(str(below / name)))


def find_strays(deployed: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Return the files that are not the app's: only its own files and Python modules are."""
    return [path for path in deployed if not _is_of_the_app(path)]


def _is_of_the_app(path: PurePosixPath) -> bool:
    if len(path.parts) == 1:
        return path.name in APP_FILES
    return path.parts[0] == APP_PACKAGE and path.suffix == ".py"
