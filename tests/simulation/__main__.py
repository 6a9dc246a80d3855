"""`make simulate`: play many seeds on all cores; cut the first failing run down and print its trace.

python -m tests.simulation --seeds 20000
python -m tests.simulation --seed 176
"""

import argparse
import multiprocessing
import os
import sys
import time
from functools import partial

from tests.simulation.hunt import EVENTS, LONG, explain, fails

WIDTH = 40  # characters of the progress bar


def main() -> int:
    """Return 0 if no seed fails, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="number of seeds to play (500)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--seed", type=int, help="play only this seed, and explain it")
    parser.add_argument("--long", action="store_true", help="runs of a virtual month instead of hours")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (all cores)")
    parser.add_argument(
        "--brief", action="store_true", help="print the first seed that fails; do not cut it down"
    )
    options = parser.parse_args()
    events = LONG if options.long else EVENTS
    seed = options.seed
    if seed is None:
        seed = _first_failing(range(options.first, options.first + options.seeds), events, options.jobs)
    if seed is None:
        print(f"{options.seeds} seeds, nothing found")
        return 0
    if options.brief:
        print(f"seed {seed}: {fails(seed, events=events)}")
        return 1
    print(f"seed {seed}: cutting it down...", flush=True)
    failure = explain(seed, events=events)
    print(failure or f"seed {seed} does not fail")
    return 1 if failure else 0


def _first_failing(seeds: range, events: int, jobs: int) -> int | None:
    """Play the seeds and return the first that fails, None if none does."""
    if jobs == 1:
        return next((seed for seed in seeds if fails(seed, events=events)), None)
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        found = pool.imap(partial(fails, events=events), seeds, chunksize=4)
        for done, (seed, what) in enumerate(zip(seeds, found, strict=True), start=1):
            _show(done, len(seeds), time.monotonic() - began)
            if what:
                pool.terminate()
                print(f"\nseed {seed}: {what}")
                return seed
    print()
    return None


def _show(done: int, of: int, seconds: float) -> None:
    if not sys.stdout.isatty() and done % 100 and done != of:
        return
    bar = "#" * (WIDTH * done // of)
    left = seconds / done * (of - done)
    end = "" if sys.stdout.isatty() else "\n"
    print(f"\r[{bar:<{WIDTH}}] {done} of {of}, {left:.0f} s left ", end=end, flush=True)


if __name__ == "__main__":
    sys.exit(main())
