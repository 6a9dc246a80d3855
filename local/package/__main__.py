"""Check, build and describe what is deployed: `python -m local.package`."""

import argparse
import sys
from pathlib import Path

from local.package.archive import write_archive
from local.package.files import find_strays, list_deployed
from local.package.pins import find_problems, read_installed, read_pins, read_ranges
from local.package.release import NotReleasable, release_notes
from local.package.sbom import write_sbom
from shared.settings import VERSION

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.package", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "check", help="name what is deployed by mistake, and what is stale in requirements.txt"
    )
    commands.add_parser("build", help="write the zip and its bill of materials to out/")
    notes = commands.add_parser("notes", help="print the changes of the release with this tag")
    notes.add_argument("tag")
    options = parser.parse_args(arguments)
    if options.command == "notes":
        return _print_notes(ROOT, options.tag)
    problems = describe_problems(ROOT)
    for each in problems:
        sys.stderr.write(f"problem: {each}\n")
    if problems or options.command == "check":
        return 1 if problems else 0
    _build(ROOT)
    return 0


def describe_problems(root: Path) -> list[str]:
    """Return what would be deployed by mistake from *root*, and what is stale in its requirements.txt."""
    pins = read_pins((root / "requirements.txt").read_text(encoding="utf-8"))
    ranges = read_ranges((root / "requirements.in").read_text(encoding="utf-8"))
    installed = {name: found for name in pins.versions if (found := read_installed(name))}
    strays = find_strays(list_deployed(root))
    return [
        *(f"{path} would be deployed: name it in .funcignore" for path in strays),
        *find_problems(ranges, pins, installed),
    ]


def _build(root: Path) -> None:
    archive = root / "out" / f"photo-sync-{VERSION}.zip"
    sbom = archive.with_suffix(".cdx.json")
    write_archive(root, list_deployed(root), archive)
    write_sbom(root, VERSION, sbom)
    print(archive.relative_to(root), sbom.relative_to(root), sep="\n")


def _print_notes(root: Path, tag: str) -> int:
    try:
        print(release_notes(tag, VERSION, (root / "CHANGELOG.md").read_text(encoding="utf-8")), end="")
    except NotReleasable as error:
        sys.stderr.write(f"problem: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
