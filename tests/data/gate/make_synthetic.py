"""Writes the synthetic recorded cases of this folder: `python tests/data/gate/make_synthetic.py`.

Synthetic means drawn from noise models, not measured; the files say so by their name. Outcome
and claim are what each case was designed for and are typed here; `e` and `gain` are what the
rule gave when the file was written, and pin it to the bit. Real recordings lie in the same
folder without the prefix `synthetic-` and are tested alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from gate_cases import comparison, gate_fields  # noqa: E402

from lance_autoresearch.ledger.pairs_json import GateCase, encode_case  # noqa: E402
from lance_autoresearch.records import (  # noqa: E402
    Comparison,
    Outcome,
    Reason,
    ReasonKind,
    Void,
    VoidCause,
)
from lance_autoresearch.rules.gate import replay_gate, run_gate  # noqa: E402
from lance_autoresearch.rules.policy import DEFAULT  # noqa: E402
from lance_autoresearch.text.reasons import describe_reason  # noqa: E402

SD = 0.004
"""SD of one combo's pair value, ln."""
Case = tuple[str, Comparison, dict[str, Any]]


def values(rng: Generator, pairs: int, gains: list[float], sd: float = SD) -> np.ndarray:
    """[pair, combo]: half of the variance common to a pair."""
    common = rng.normal(0.0, sd, (pairs, 1))
    own = rng.normal(0.0, sd, (pairs, len(gains)))
    return np.sqrt(0.5) * (common + own) + np.array(gains)


def win(rng: Generator) -> Case:
    rows = values(rng, 24, [0.021, 0.019, 0.023])
    return "2 % faster in every combo", comparison(rows, rng), {"outcome": "keep-candidate"}


def win_of_one_op(rng: Generator) -> Case:
    rows = values(rng, 24, [0.0, 0.0, 0.0, 0.05])
    built = comparison(rows, rng, ["scan", "scan", "scan", "table"])
    about = "one of two ops 5 % faster, the other unchanged: the claim must name the op"
    return about, built, {"outcome": "keep-candidate", "claim": "table"}


def null(rng: Generator) -> Case:
    rows = values(rng, 24, [0.0, 0.0, 0.0])
    expect = {"outcome": "revert", "reason": "no gain above the margin"}
    return "the champion against its copy", comparison(rows, rng), expect


def slower(rng: Generator) -> Case:
    rows = values(rng, 24, [-0.02, -0.02, -0.02])
    return "2 % slower", comparison(rows, rng), {"outcome": "revert", "reason": "slower"}


def not_proven(rng: Generator) -> Case:
    most = DEFAULT.max_pairs
    rows = values(rng, most, [0.006, 0.006, 0.006])
    about = f"0.6 % faster: above the margin, too little to prove in {most} pairs"
    reason = describe_reason(Reason(ReasonKind.NOT_PROVEN))
    return about, comparison(rows, rng), {"outcome": "revert", "reason": reason, "pairs": most}


def drift(rng: Generator) -> Case:
    rows = values(rng, 24, [0.0, 0.0, 0.0]) + np.linspace(0.003, -0.003, 24)[:, None]
    about = "no gain, the session drifting by 0.6 % from one side to the other"
    return about, comparison(rows, rng), {"outcome": "revert"}


def outlier_win(rng: Generator) -> Case:
    rows = values(rng, 24, [0.021, 0.019, 0.023])
    rows[2, 1] -= 1.6
    about = "2 % faster; one candidate process five times slower in one combo for life"
    return about, comparison(rows, rng), {"outcome": "keep-candidate"}


def outlier_null(rng: Generator) -> Case:
    rows = values(rng, 24, [0.0, 0.0, 0.0])
    rows[1, 0] += 1.6
    about = "no gain; one champion process five times slower in one combo for life"
    return about, comparison(rows, rng), {"outcome": "revert"}


def two_void(rng: Generator) -> Case:
    built = comparison(values(rng, 24, [0.021, 0.019, 0.023]), rng)
    about = "2 % faster, two pairs void with nonsense times: they do not count, the rest does"
    return about, _voided(built, (1, 3), VoidCause.FOREIGN_WORK), {"outcome": "keep-candidate"}


def three_void(rng: Generator) -> Case:
    built = comparison(values(rng, 24, [0.021, 0.019, 0.023]), rng)
    about = "2 % faster, but three of the first pairs void: the machine failed"
    voided = _voided(built, (0, 2, 4), VoidCause.KEPT_FROM_CORE)
    return about, voided, {"outcome": "inconclusive", "void": 3}


def suspended_clock(rng: Generator) -> Case:
    built = comparison(values(rng, 24, [0.0, 0.0, 0.0]), rng)
    about = "no gain; the machine slept in pair 2, whose times hold half an hour"
    return about, _voided(built, (2,), VoidCause.CLOCK_JUMPED), {"outcome": "revert", "void": 1}


def guard(rng: Generator) -> Case:
    rows = values(rng, 24, [0.03, 0.03, 0.03, 0.03, -0.08])
    about = "3 % faster, one combo 8 % slower: the guard, not the mean, decides"
    return about, comparison(rows, rng), {"outcome": "revert"}


def coarse_clock(rng: Generator) -> Case:
    rows = values(rng, 24, [0.004, 0.004, 0.004], sd=0.0001)
    built = comparison(rows, rng, size=1200.0)
    about = "below the margin on a clock of 1,200 ticks a slice: most values coincide"
    return about, built, {"outcome": "revert"}


def early(rng: Generator) -> Case:
    rows = values(rng, 3, [0.2, 0.2, 0.2])
    return "20 % faster, three pairs seen", comparison(rows, rng), {"outcome": "continue"}


def _voided(built: Comparison, which: tuple[int, ...], why: VoidCause) -> Comparison:
    """These pairs hold what a jump of the clock leaves behind, and are marked void."""
    pairs = list(built.pairs)
    for i in which:
        jumped = tuple((6_660_000_000_000, *c[1:]) for c in pairs[i].candidate)
        pairs[i] = replace(pairs[i], candidate=jumped, void=Void(why))
    return replace(built, pairs=tuple(pairs))


CASES: tuple[Callable[[Generator], Case], ...] = (
    win,
    win_of_one_op,
    null,
    slower,
    not_proven,
    drift,
    outlier_win,
    outlier_null,
    two_void,
    three_void,
    suspended_clock,
    guard,
    coarse_clock,
    early,
)


def recorded(about: str, built: Comparison, expect: dict[str, Any]) -> GateCase:
    """The case as it would have been recorded: no pairs after the gate stopped."""
    for seen in range(1, len(built.pairs)):
        part = replace(built, pairs=built.pairs[:seen])
        if run_gate(part, DEFAULT).outcome is not Outcome.CONTINUE:
            built = part
            break
    fields = gate_fields(replay_gate(built, DEFAULT))
    wrong = {k: fields[k] for k, v in expect.items() if fields[k] != v}
    if wrong:
        raise SystemExit(f"{about}: designed for {expect}, came out {wrong}")
    return GateCase(built, about=about, expect={**expect, "e": fields["e"], "gain": fields["gain"]})


def main() -> None:
    """Write every case."""
    for seed, make in enumerate(CASES):
        case = recorded(*make(np.random.default_rng([2026, seed])))
        name = f"synthetic-{make.__name__.replace('_', '-')}.json"
        (HERE / name).write_text(encode_case(case), encoding="utf-8")


if __name__ == "__main__":
    main()
