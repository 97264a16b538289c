"""`make search`: any number of seeds, on all cores; or one seed again, with everything it did."""
# ruff: noqa: T201 - a command line

import argparse
import sys
import time

from .search import Tally, run, run_on_all_cores


def main() -> int:
    parser = argparse.ArgumentParser(prog="search", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (200)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--seed", type=int, help="this one only, telling everything")
    options = parser.parse_args()
    started = time.monotonic()
    tally = Tally()
    if options.seed is not None:
        tally = run([options.seed], trace=print)
    else:
        for part in run_on_all_cores(range(options.first, options.first + options.seeds)):
            tally.add(part)
            if part.failures or tally.seeds % 50 == 0 or tally.seeds == options.seeds:
                took = time.monotonic() - started
                failed = f", {len(tally.failures)} failed" if tally.failures else ""
                print(f"{tally.seeds:6} seeds  {took:6.1f} s{failed}", file=sys.stderr, flush=True)
    for seed in sorted(tally.failures)[:3]:
        print(tally.failures[seed])
    print(tally.report())
    print(f"{len(tally.failures)} deviations")
    if tally.failures:
        print(f"Failed: {len(tally.failures)} of {tally.seeds}. Each one again:")
        for seed in sorted(tally.failures)[:20]:
            print(f"  make search SEED={seed}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
