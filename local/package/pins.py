"""Is requirements.txt what `make lock` makes of requirements.in? Checked without a network.

The dependencies of each package are read from the installed one, so the pinned versions must be installed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

REMEDY = "run `make lock`"
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Installed:
    """An installed package: its version, and what it requires on this machine."""

    version: str
    requires: tuple[Requirement, ...]


@dataclass(frozen=True)
class Pins:
    """The exact versions of a compiled file, and the lines in it that are not a version with hashes."""

    versions: Mapping[NormalizedName, str]
    problems: tuple[str, ...]


def read_ranges(text: str) -> list[Requirement]:
    """Return the requirements of requirements.in."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


def read_pins(text: str) -> Pins:
    """Return what requirements.txt pins; options, such as an index's address, are problems."""
    versions: dict[NormalizedName, str] = {}
    problems: list[str] = []
    for line in re.sub(r"\s*#.*", "", text).replace("\\\n", " ").splitlines():
        wanted = _HASH.sub("", line).strip()
        if wanted.startswith("-"):
            problems.append(f"an option in requirements.txt: {wanted}")
        elif wanted:
            requirement = Requirement(wanted)
            name, exact = canonicalize_name(requirement.name), str(requirement.specifier)
            if not exact.startswith("==") or not _HASH.search(line) or name in versions:
                problems.append(f"not one exact version with hashes: {wanted}")
            versions[name] = exact.removeprefix("==")
    return Pins(versions, tuple(problems))


def read_installed(name: str) -> Installed | None:
    """Return an installed package; None if it is not installed."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    return Installed(found.version, tuple(map(Requirement, found.requires or ())))


def find_problems(
    ranges: list[Requirement], pins: Pins, installed: Mapping[NormalizedName, Installed]
) -> list[str]:
    """Return what is stale, in words.

    Args:
        ranges: what requirements.in asks for.
        pins: what requirements.txt gives.
        installed: the pinned packages that are installed.
    """
    problems = list(pins.problems)
    reached: set[NormalizedName] = set()
    waiting = [("requirements.in", each) for each in ranges]
    while waiting:
        source, wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        pinned = pins.versions.get(name)
        if pinned is None:
            problems.append(f"{source} needs {wanted}, which requirements.txt lacks: {REMEDY}")
        elif not wanted.specifier.contains(pinned, prereleases=True):
            problems.append(f"{source} needs {wanted}, requirements.txt has {pinned}: {REMEDY}")
        if name in installed and name not in reached:
            reached.add(name)
            waiting += [(name, each) for each in _needed(installed[name], wanted.extras)]
    return sorted({*problems, *_find_others(pins, installed, reached)})


def _needed(package: Installed, extras: set[str]) -> list[Requirement]:
    return [
        each
        for each in package.requires
        if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in {"", *extras})
    ]


def _find_others(
    pins: Pins, installed: Mapping[NormalizedName, Installed], reached: set[NormalizedName]
) -> list[str]:
    found: list[str] = []
    for name, version in pins.versions.items():
        there = installed[name].version if name in installed else "no version"
        if there != version:
            found.append(f"{name} {version} is pinned, {there} is installed: run `make setup`")
        elif name not in reached:
            found.append(f"nothing in requirements.in needs {name}: {REMEDY}")
    return found
