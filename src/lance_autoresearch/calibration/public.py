"""Comparing a kernel with Lance on public inputs, where values may be shown.

A trial's inputs are secret, so its messages give places and counts only. Here the seed is
public and fixed: whoever wants to see the values repeats the comparison with `lar check`.
"""

from __future__ import annotations

from collections.abc import Iterator

from lance_autoresearch.bench.epoch import make_epoch
from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.calibration.proof import Line
from lance_autoresearch.errors import RejectedKernel, UsageError
from lance_autoresearch.judge.trial import Evidence, admit_and_build
from lance_autoresearch.text.fault_text import fault_text

SEED = 1402


def compare_public(rig: Rig, kernel: bytes, case: int | None) -> Iterator[Line]:
    """One line per tier, or the first difference of each case.

    Raises:
        UsageError: no such case.
    """
    found = Evidence()
    try:
        admit_and_build(rig, kernel, found)
    except RejectedKernel as refusal:
        yield Line(False, "admitted", str(refusal))
        return
    assert found.built is not None
    epoch = make_epoch(rig.target, rig.scratch / "public", rig.maker, rig.answer, seed=SEED)
    pools = (*epoch.checks, *epoch.timed)
    if case is not None and not 0 <= case < len(pools):
        raise UsageError(f"no case {case}", allowed=[f"0 to {len(pools) - 1}"])
    numbers = range(len(pools)) if case is None else [case]
    for tier in rig.target.tiers:
        wrong = 0
        for i in numbers:
            result = rig.check(found.built.so, tier, [pools[i]])
            if result.fault is not None:
                wrong += 1
                text = fault_text(rig.target, result.fault, tier, public=True, case=i)
                yield Line(False, f"case {i}", text)
        equal = f"{len(numbers) - wrong} of {len(numbers)} cases equal"
        yield Line(wrong == 0, f"tier {tier}", equal)



