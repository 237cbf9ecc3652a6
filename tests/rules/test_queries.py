"""Effects of whole queries: designed and simulated pairs."""

from __future__ import annotations

import numpy as np
import pytest

from lance_autoresearch.records import ClassEffect, ComboId, Comparison, Effect, PairTimes
from lance_autoresearch.rules.policy import DEFAULT, QUERIES
from lance_autoresearch.rules.queries import is_neutral, judge_queries, predict_gain


def make_comparison(
    gains: list[float], pairs: int, sd: float = 0.005, seed: int = 1
) -> Comparison:
    """Pairs of B that is faster by `gains`, one a class; natural logs scatter by `sd`."""
    rng = np.random.default_rng(seed)
    combos = tuple(ComboId("query", f"c{i}") for i in range(len(gains)))
    made = []
    for _ in range(pairs):
        shifts = np.log1p(gains) + rng.normal(0.0, sd, len(gains))
        a = tuple((10_000_000,) * 12 for _ in gains)
        b = tuple((round(10_000_000 / np.exp(shift)),) * 12 for shift in shifts)
        made.append(PairTimes(tuple(8 for _ in gains), a, b, (1000, 1000)))
    return Comparison(combos, tuple(made), 1.0)


def judge(gains: list[float], pairs: int, **more: float) -> list[Effect]:
    comparison = make_comparison(gains, pairs, **more)  # type: ignore[arg-type]
    return [one.effect for one in judge_queries(comparison, DEFAULT, QUERIES)]


def test_large_effects_are_found_with_the_fewest_pairs() -> None:
    found = judge([0.10, -0.10, 0.0], QUERIES.min_pairs)
    assert found == [Effect.FASTER, Effect.SLOWER, Effect.NO_CHANGE]


def test_nothing_is_decided_before_the_fewest_pairs() -> None:
    assert judge([0.5], QUERIES.min_pairs - 1) == [Effect.NOT_RESOLVED]


def test_noise_is_no_proof_of_no_change() -> None:
    assert judge([0.0], QUERIES.min_pairs, sd=0.05) == [Effect.NOT_RESOLVED]


def test_the_interval_holds_the_gain_and_the_resolution_bounds_it() -> None:
    comparison = make_comparison([0.04, 0.0], 12)
    first, second = judge_queries(comparison, DEFAULT, QUERIES)
    assert first.low < 4.0 < first.high
    assert first.gain == pytest.approx(4.0, abs=1.0)
    assert second.resolution == max(abs(second.low), abs(second.high))
    assert (first.baseline_ns, first.pairs) == (pytest.approx(1_249_875), 12)


def test_more_classes_widen_every_interval() -> None:
    comparison = make_comparison([0.02], 10)
    alone = judge_queries(comparison, DEFAULT, QUERIES)[0]
    wide = make_comparison([0.02] * 12, 10)
    among = judge_queries(wide, DEFAULT, QUERIES)[0]
    width = (alone.high - alone.low) / 1.0
    assert among.high - among.low > width * 0.9
    assert alone.low > among.low or alone.high < among.high


def test_false_effects_are_rarer_than_the_level_says() -> None:
    """At every look of up to 24, all classes together: at most 5 % of experiments."""
    false = 0
    for seed in range(60):
        comparison = make_comparison([0.0] * 3, QUERIES.max_pairs, seed=seed)
        for seen in range(QUERIES.min_pairs, QUERIES.max_pairs + 1, 4):
            part = Comparison(comparison.combos, comparison.pairs[:seen], 1.0)
            effects = {e.effect for e in judge_queries(part, DEFAULT, QUERIES)}
            if effects & {Effect.FASTER, Effect.SLOWER}:
                false += 1
                break
    assert false <= 6


def test_a_control_must_be_slow_and_significant_to_count() -> None:
    def control(effect: Effect, gain: float) -> ClassEffect:
        return ClassEffect("c", effect, gain, gain - 0.5, gain + 0.5, 1.0, 1.0, 8)

    assert is_neutral(control(Effect.NO_CHANGE, 0.2), QUERIES)
    assert is_neutral(control(Effect.SLOWER, -0.8), QUERIES)
    assert not is_neutral(control(Effect.SLOWER, -18.0), QUERIES)
    assert not is_neutral(control(Effect.FASTER, 3.0), QUERIES)


def test_a_share_bounds_the_gain() -> None:
    assert predict_gain(0.5, 0.5) == pytest.approx(100 / 3)
    assert predict_gain(0.8, 0.0) == pytest.approx(400.0)
    assert predict_gain(0.3, 1.0) == pytest.approx(0.0)
    assert predict_gain(0.5, 2.0) == pytest.approx(-100 / 3)
