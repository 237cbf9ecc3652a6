"""The predecessor's gate, on numbers of which one knows what it must say."""

from __future__ import annotations

import numpy as np
from original_gate import interval, keeps


def test_the_interval_holds_the_mean_of_the_pool() -> None:
    rng = np.random.default_rng(1)
    samples = [rng.normal(100, 1, 200), rng.normal(300, 1, 200)]
    low, high = interval([s.tolist() for s in samples], rng)
    assert low < 200 < high
    assert high - low > 10  # it mixes combos of different length: their distance is its noise


def test_a_gain_of_five_percent_drowns_between_the_combos() -> None:
    rng = np.random.default_rng(2)
    base = [rng.normal(t, 0.01 * t, 60) for t in (100, 500, 3000, 20_000)]
    faster = [0.95 * b for b in base]
    halved = [0.4 * b for b in base]
    assert not keeps([b.tolist() for b in base], [f.tolist() for f in faster], rng)
    assert keeps([b.tolist() for b in base], [h.tolist() for h in halved], rng)


def test_a_stale_baseline_makes_a_null_a_gain() -> None:
    rng = np.random.default_rng(3)
    now = [rng.normal(100, 1, 200).tolist()]
    then = [rng.normal(110, 1, 200).tolist()]
    assert keeps(then, now, rng)
    assert not keeps(now, then, rng)
