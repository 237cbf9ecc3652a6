#!/usr/bin/env python3
"""Does the guard of lower CPU tiers keep its promise? Known effects, by the judge's own stage.

    python tools/lower_tiers.py TARGET --trials 100     append lines to the file of records
    python tools/lower_tiers.py --report                measure nothing, sum the file up

Two kinds of trials by turns: `regress`, one op 5 % slower in all of its combos, and `null`, the
same program in other layouts. A trial makes fresh secret pools and layouts and calls the stage
that a keep ends with (`judge.lower_tiers`). Promised: of `regress` at least 95 of 100 are refused
or not decided, of `null` at most 1 of 100 is refused. The machine must be quiet; 5 s a trial.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.layouts import link_layouts
from lance_autoresearch.build.builder import Built
from lance_autoresearch.calibration.dosing import find_dose
from lance_autoresearch.campaign.coordinator import Coordinator
from lance_autoresearch.errors import MachineError
from lance_autoresearch.judge.lower_tiers import LowerTiers, list_lower_tiers, time_lower_tiers
from lance_autoresearch.records import Verdict
from lance_autoresearch.rules.policy import Policy
from lance_autoresearch.targets.champion import read_champion

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "records" / "calibration" / "lower-tiers.tsv"
EFFECT = 0.05
"""How much slower the op of a `regress` kernel is: the size that the guard promises to find."""


@dataclass(frozen=True)
class Line:
    """One trial of the stage."""

    date: str
    cpu_kind: str
    target: str
    kind: str
    op: str
    """The slower op; empty for a null."""
    verdict: str
    """`passed`, or the verdict that forbids a keep."""
    reason: str
    pairs: int
    seconds: float


def run_trials(target: str, trials: int) -> Iterator[Line]:
    """Trials of both kinds by turns, ops by turns. Raises LarError if the machine fails."""
    champion = read_champion(ROOT, target)
    with Coordinator(ROOT, target, champion=champion) as coordinator:
        bench, policy = coordinator.bench, coordinator.policy
        if not list_lower_tiers(bench):
            raise MachineError("this processor has no tier below its own", next="./lar doctor")
        dose = find_dose(bench, coordinator.champion_text, EFFECT, policy)
        plain = bench.build(dose.render_kernel({}))
        for number in range(trials):
            op = "" if number % 2 else bench.target.ops[number // 2 % len(bench.target.ops)].name
            shares = {label: EFFECT for label, of in dose.ops.items() if of == op}
            candidate = bench.build(dose.render_kernel(shares))
            yield run_trial(bench, plain, candidate, op, policy)


def run_trial(bench: Bench, champion: Built, candidate: Built, op: str, policy: Policy) -> Line:
    """One trial of the stage, on inputs and layouts of its own."""
    began = time.perf_counter()
    bench.begin_trial()
    pools, _ = bench.inputs.make_fresh()
    layouts = link_layouts(champion, candidate, policy.confirm_pairs)
    found = time_lower_tiers(bench, layouts, pools, policy)
    return Line(
        time.strftime("%Y-%m-%d"), str(bench.machine["cpu_kind"]), bench.target.name,
        "regress" if op else "null", op, *describe_end(found),
        sum(len(comparison.pairs) for _, comparison in found.pairs),
        round(time.perf_counter() - began, 1),
    )  # fmt: skip


def describe_end(found: LowerTiers) -> tuple[str, str]:
    """The verdict and the kind of its reason."""
    if found.end is None:
        return "passed", ""
    return str(found.end.verdict), str(found.end.reason.kind)


def read_lines() -> list[Line]:
    """The lines of the file; none if there is no file."""
    if not FILE.is_file():
        return []
    rows = [line.split("\t") for line in FILE.read_text(encoding="utf-8").splitlines()[1:]]
    return [Line(*row[:7], int(row[7]), float(row[8])) for row in rows]


def append_line(line: Line) -> None:
    """Add a line to the file."""
    if not FILE.is_file():
        FILE.write_text("\t".join(field.name for field in fields(Line)) + "\n", encoding="utf-8")
    with FILE.open("a", encoding="utf-8") as file:
        file.write("\t".join(map(str, astuple(line))) + "\n")


def summarize(lines: Sequence[Line]) -> str:
    """Counts by CPU kind, target and kind of trial, and in all."""
    counts: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        for key in ((line.cpu_kind, line.target, line.kind), ("all", "all", line.kind)):
            counts[(*key, "trials")] += 1
            counts[(*key, line.verdict)] += 1
    keys = sorted({key[:3] for key in counts})
    verdicts = ("trials", "passed", str(Verdict.REVERT), str(Verdict.INCONCLUSIVE))
    head = f"{'':44}" + "".join(f"{verdict:>14}" for verdict in verdicts)
    return "\n".join([head, *(
        f"{' '.join(key):44}" + "".join(f"{counts[(*key, verdict)]:14d}" for verdict in verdicts)
        for key in keys
    )])  # fmt: skip


def main() -> int:
    """Measure, then sum up."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", nargs="?", help="name of the target")
    parser.add_argument("--trials", type=int, default=20, help="of both kinds together")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    if not asked.report:
        if asked.target is None:
            parser.error("name a target, or --report")
        for line in run_trials(asked.target, asked.trials):
            append_line(line)
            print(*astuple(line), flush=True)
    print(summarize(read_lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
