"""Prints the losses of every program under gradwire and under PyTorch, side by side (`make parity`)."""

from __future__ import annotations

import argparse
import sys

from .runner import STEPS, Outcome, module_of, names, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(names())} (all)")
    parser.add_argument("--steps", type=int, default=STEPS, help="how many steps of each (%(default)s)")
    parser.add_argument("--every", action="store_true", help="print every step")
    options = parser.parse_args()
    if unknown := set(options.programs) - set(names()):
        parser.error(f"no program {', '.join(sorted(unknown))}")
    failed = []
    for name in options.programs or names():
        outcome = run(name, options.steps)
        _show(outcome, options.every)
        if not (outcome.differences <= outcome.tolerance).all():
            failed.append(name)
    ran = len(options.programs or names())
    print(f"the same losses within tolerance: {ran - len(failed)} of {ran} programs")
    for name in failed:
        print(f"  {name} has others")
    return bool(failed)


def _show(outcome: Outcome, every: bool) -> None:
    described = (module_of(outcome.name).__doc__ or "").partition("\n")[0]
    print(f"{outcome.name}: {described}")
    print(f"  {'step':>6} {'gradwire':>14} {'PyTorch':>14} {'apart by':>10}")
    count = len(outcome.pytorch)
    for step in range(count) if every else sorted({0, 1, count // 4, count // 2, 3 * count // 4, count - 1}):
        ours, theirs = outcome.gradwire[step], outcome.pytorch[step]
        print(f"  {step + 1:6d} {ours:14.8g} {theirs:14.8g} {outcome.differences[step]:10.1e}")
    print(f"  {outcome.differences.max():.1e} at most, of {outcome.tolerance:.0e}\n")


if __name__ == "__main__":
    sys.exit(main())
