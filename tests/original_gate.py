"""The gate this project replaced, as a pure function, so that both can judge the same pairs.

The predecessor measured its baseline once, then each candidate alone. All samples of all combos
went into one pool a side; a percentile bootstrap gave each side's mean a 95 % interval; a
candidate was kept when its interval lay below the baseline's without touching it.

    keeps(baseline, candidate, rng)      # nested: [combo][sample], ns a call
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95

Samples = Sequence[Sequence[float]]


def interval(samples: Samples, rng: np.random.Generator) -> tuple[float, float]:
    """Percentile bootstrap of the mean over all samples of all combos (Efron 1979)."""
    pool = np.concatenate([np.asarray(combo, float) for combo in samples])
    picks = rng.integers(0, pool.size, (RESAMPLES, pool.size))
    means = pool[picks].mean(axis=1)
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(means, [tail, 100.0 - tail])
    return float(low), float(high)


def keeps(baseline: Samples, candidate: Samples, rng: np.random.Generator) -> bool:
    """Whether the candidate would have been kept: the intervals do not overlap, it is faster."""
    return interval(candidate, rng)[1] < interval(baseline, rng)[0]
