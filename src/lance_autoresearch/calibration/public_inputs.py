"""Comparing a kernel with Lance on public inputs, where values may be shown.

A trial's inputs are secret, so its messages give places and counts only. Here the seed is
public and fixed: `lar diff` repeats the comparison and shows the values.
"""

from __future__ import annotations

from collections.abc import Iterator

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.epoch import make_epoch
from lance_autoresearch.calibration.null_validation import ProofLine
from lance_autoresearch.calibration.wording import describe_early_verdict
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.job import Job
from lance_autoresearch.judge.prepare import prepare
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.text.fault_text import describe_fault

SEED = 1402


def compare_public(bench: Bench, kernel: bytes, case: int | None) -> Iterator[ProofLine]:
    """One line per tier, or the first difference of each case.

    Raises:
        UsageError: no such case.
    """
    prepared = prepare(Job(bench.target.name, kernel, bench.first_kernel, DEFAULT), bench)
    if prepared.built is None:
        assert prepared.refusal is not None
        yield ProofLine(False, "admitted", describe_early_verdict(prepared.refusal, bench.target))
        return
    inputs = bench.inputs
    folder = bench.scratch / "public"
    epoch = make_epoch(bench.target, folder, inputs.maker, inputs.write_expected, seed=SEED)
    pools = (*epoch.checks, *epoch.timed)
    if case is not None and not 0 <= case < len(pools):
        raise UsageError(f"no case {case}", allowed=[f"0 to {len(pools) - 1}"])
    cases = range(len(pools)) if case is None else [case]
    for tier in bench.target.tiers:
        wrong = 0
        for i in cases:
            result = bench.check_library(prepared.built.so, tier, [pools[i]])
            if result.fault is not None:
                wrong += 1
                text = describe_fault(bench.target, result.fault, public=True, case=i)
                yield ProofLine(False, f"case {i}", text)
        equal = f"{len(cases) - wrong} of {len(cases)} cases equal"
        yield ProofLine(wrong == 0, f"tier {tier}", equal)
