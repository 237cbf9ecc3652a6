"""What the defences cost an honest keep: `python tests/simulate_defences.py --n 2000`.

Distinct inputs and the opponent: honest keeps of 2 % to 120 % with the noise of recorded pairs.
Each keep draws, for every combo, residuals of a recorded combo (its pairs about their mean, from
the exported campaigns). For distinct inputs it adds the difference that the gain of this recorded
combo showed there, turned round by a coin.
Total times: the simulated hosts of `totals_noise.py`. Prints counts; nothing is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gate_cases import comparison
from totals_noise import NOISY, QUIET, play, same

from lance_autoresearch.ledger.export import load_records
from lance_autoresearch.ledger.pairs_json import decode_trial
from lance_autoresearch.records import Claim, Comparison
from lance_autoresearch.rules.defences import judge_distinct_inputs, judge_opponent
from lance_autoresearch.rules.estimator import compute_samples
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.rules.stats import compute_exact_bounds
from lance_autoresearch.rules.totals import judge_totals

ROOT = Path(__file__).resolve().parents[1]
GAINS = (0.02, 0.05, 0.2, 0.8)
"""Natural logarithm."""
COMBOS = 10


@dataclass(frozen=True, slots=True)
class Recorded:
    """One combo of a recorded keep."""

    distinct: np.ndarray
    """Values of its pairs with distinct inputs, about their mean."""
    opponent: np.ndarray
    moved: float
    """Gain on distinct inputs less gain at confirmation."""
    gain: float


def read_records() -> list[Recorded]:
    """Every combo of every exported trial that has these pairs."""
    return [one for path in sorted(ROOT.glob("records/*/campaign.json"))
            for one in _read_campaign(path.parent)]  # fmt: skip


def _read_campaign(folder: Path) -> Iterator[Recorded]:
    exported = load_records(folder)
    for row in exported.trials:
        blob = exported.pairs.get(row.record.pairs_blob or "")
        pairs = None if blob is None else decode_trial(blob).pairs
        if pairs is None or None in (pairs.confirmation, pairs.distinct_inputs, pairs.opponent):
            continue
        parts = (pairs.confirmation, pairs.distinct_inputs, pairs.opponent)
        known, once, behind = (compute_samples(p, DEFAULT).combos for p in parts if p)
        for a, b, c in zip(known, once, behind, strict=True):
            values, others = np.array(b.values), np.array(c.values)
            yield Recorded(values - b.mean, others - c.mean, b.mean - a.mean, a.mean)


def draw_pairs(
    gains: np.ndarray, noise: list[np.ndarray], pairs: int, rng: np.random.Generator
) -> Comparison:
    """Pairs of these gains with residuals drawn from the recorded ones."""
    columns = [g + rng.choice(own, pairs) for g, own in zip(gains, noise, strict=True)]
    return comparison(np.transpose(columns).tolist(), rng, ["scan"] * 7 + ["table"] * 3)


def count_refused(recorded: list[Recorded], gain: float, n: int, seed: int) -> tuple[int, int]:
    """How many of n honest keeps distinct inputs and the opponent refuse."""
    rng = np.random.default_rng(seed)
    like = [one for one in recorded if one.gain <= max(gain, 0.15)] or recorded
    lost = slowed = 0
    for _ in range(n):
        gains = gain * rng.uniform(0.5, 1.5, COMBOS)
        picks = [like[i] for i in rng.integers(0, len(like), COMBOS)]
        moved = np.array([one.moved * rng.choice((1, -1)) for one in picks])
        claim = Claim("all", 100 * float(np.expm1(gain)), tuple(100 * np.expm1(gains)))
        once = draw_pairs(gains + moved, [p.distinct for p in picks], DEFAULT.distinct_pairs, rng)
        none = np.zeros(COMBOS)
        behind = draw_pairs(none, [p.opponent for p in picks], DEFAULT.opponent_pairs, rng)
        lost += judge_distinct_inputs(once, claim, DEFAULT).rejected
        slowed += judge_opponent(behind, claim, DEFAULT).rejected
    return lost, slowed


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=2000, help="keeps of each gain")
    parser.add_argument("--totals", type=int, default=200, help="keeps of each host")
    options = parser.parse_args()
    recorded = read_records()
    print(f"{len(recorded)} recorded combos; refused, share, exact 99 % upper bound")
    for i, gain in enumerate(GAINS):
        found = count_refused(recorded, gain, options.n, i)
        for name, count in zip(("distinct inputs", "opponent"), found, strict=True):
            most = compute_exact_bounds(count, options.n, 0.98).high
            print(f"{name:16} gain {100 * np.expm1(gain):+6.1f}%  {count:5} of {options.n}  "
                  f"{count / options.n:.2%}  <= {most:.2%}")  # fmt: skip
    for name, host in (("quiet", QUIET), ("noisy", NOISY)):
        refused = 0
        for seed in range(options.totals):
            result = judge_totals(play(same, np.random.default_rng([7, seed]), host), DEFAULT)
            refused += result is None or result.rejected
        most = compute_exact_bounds(refused, options.totals, 0.98).high
        print(f"total times      {name:13}  {refused:5} of {options.totals}  "
              f"{refused / options.totals:.2%}  <= {most:.2%}")  # fmt: skip


if __name__ == "__main__":
    main()
