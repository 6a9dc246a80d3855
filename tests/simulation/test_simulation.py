"""Five hundred runs with faults, one of a virtual month, and the proof that a fault in the app is found."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.choices import Chooser
from tests.simulation.hunt import EVENTS, LONG, explain, fails, play
from tests.simulation.planted import FAULTS, ROOT, SEEDS, Planted, plant
from tests.simulation.scene import BEGIN

BLOCK = 20  # seeds per test
MONTH = 5  # the seed of the long run
RUNS_TO_CUT_DOWN = 100  # `make simulate SEED=...` cuts further


def hold(seed: int, events: int) -> None:
    """Assert that a seed keeps the promise; if not, show the run that breaks it."""
    if fails(seed, events=events):
        pytest.fail(str(explain(seed, runs=RUNS_TO_CUT_DOWN, events=events)), pytrace=False)


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_whatever_goes_wrong_the_promise_is_kept(first: int) -> None:
    for seed in range(first, first + BLOCK):
        hold(seed, EVENTS)


def test_the_promise_is_kept_for_a_month_of_changing_weather() -> None:
    run, what = play(Chooser(chance=random.Random(MONTH)), events=LONG)

    if what:
        hold(MONTH, LONG)
    assert run.time.now() - BEGIN > 28 * 24 * 3600


@pytest.mark.timeout(600)  # if a fault must be searched for again
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault: Planted, tmp_path: Path) -> None:
    plant(fault, tmp_path)
    found = play_copy(tmp_path, fault.seed, 1)
    if found.returncode == 0:  # the code has changed, and other seeds find it now
        found = play_copy(tmp_path, 0, SEEDS)
    assert (found.returncode, found.stderr) == (1, ""), found.stdout
    assert re.search(fault.found, found.stdout), found.stdout


def play_copy(where: Path, first: int, seeds: int) -> subprocess.CompletedProcess[str]:
    """Play seeds with the copy of the app in `where`."""
    options = ["--jobs", "1", "--brief", "--first", str(first), "--seeds", str(seeds)]
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *options], cwd=where, capture_output=True, text=True
    )


def test_seeds_are_played_on_several_cores_at_once() -> None:
    options = ["--seeds", "8", "--jobs", "2"]
    played = subprocess.run(
        [sys.executable, "-m", "tests.simulation", *options], cwd=ROOT, capture_output=True, text=True
    )
    assert (played.returncode, played.stderr) == (0, "")
    assert played.stdout.endswith("8 seeds, nothing found\n")
