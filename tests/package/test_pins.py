"""requirements.txt is what `make lock` makes of requirements.in, and what is installed."""

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from local.package.__main__ import main
from local.package.pins import Installed, find_problems, read_pins, read_ranges

HASH = f"--hash=sha256:{'0' * 64}"
RANGES = "# why\nrequests>=2.32,<3  # HTTP\n"
PINS = f"requests==2.34.2 \\\n    {HASH} \\\n    {HASH}\n    # via -r requirements.in\nidna==3.20 {HASH}\n"


def package(version: str, *requires: str) -> Installed:
    return Installed(version, tuple(map(Requirement, requires)))


def problems(ranges: str = RANGES, pins: str = PINS) -> list[str]:
    there: dict[NormalizedName, Installed] = {
        canonicalize_name("requests"): package("2.34.2", "idna>=2.5", "PySocks>=1 ; extra == 'socks'"),
        canonicalize_name("idna"): package("3.20", "colorama ; sys_platform == 'win32'"),
    }
    return find_problems(read_ranges(ranges), read_pins(pins), there)


def test_this_repository_is_not_stale() -> None:
    assert main(["check"]) == 0


def test_pins_that_satisfy_every_range_are_not_stale() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("ranges", "pins", "problem"),
    [
        pytest.param(
            "requests>=2.35",
            PINS,
            "requirements.in needs requests>=2.35, requirements.txt has 2.34.2",
            id="range",
        ),
        pytest.param(
            RANGES + "msal>=1",
            PINS,
            "requirements.in needs msal>=1, which requirements.txt lacks",
            id="added",
        ),
        pytest.param("idna", PINS, "nothing in requirements.in needs requests", id="a removed package"),
        pytest.param(
            RANGES,
            PINS.partition("idna")[0],
            "requests needs idna>=2.5, which requirements.txt lacks",
            id="a package of a package",
        ),
        pytest.param(
            "requests[socks]>=2",
            PINS,
            'requests needs PySocks>=1; extra == "socks", which requirements.txt lacks',
            id="a package of an extra",
        ),
    ],
)
def test_pins_that_do_not_fit_the_ranges_are_stale(ranges: str, pins: str, problem: str) -> None:
    assert problems(ranges, pins) == [f"{problem}: run `make lock`"]


@pytest.mark.parametrize(
    ("pins", "problem"),
    [
        pytest.param(
            PINS.replace("3.20", "3.19"), "idna 3.19 is pinned, 3.20 is installed", id="another version"
        ),
        pytest.param(
            PINS + f"msal==1.39.0 {HASH}",
            "msal 1.39.0 is pinned, no version is installed",
            id="not installed",
        ),
    ],
)
def test_a_pin_that_is_not_installed_cannot_be_checked(pins: str, problem: str) -> None:
    assert problems(pins=pins) == [f"{problem}: run `make setup`"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("--index-url https://example.test", "an option in requirements.txt: ", id="an index"),
        pytest.param(f"idna>=3 {HASH}", "not one exact version with hashes: ", id="a range"),
        pytest.param("idna==3.20", "not one exact version with hashes: ", id="without a hash"),
    ],
)
def test_only_exact_versions_with_hashes_are_compiled(line: str, problem: str) -> None:
    pins = f"{PINS.partition('idna')[0]}{line}\n"

    assert f"{problem}{line.removesuffix(HASH).strip()}" in problems(pins=pins)


def test_a_second_version_of_a_package_is_refused() -> None:
    assert problems(pins=f"{PINS}idna==3.20 {HASH}\n") == ["not one exact version with hashes: idna==3.20"]
