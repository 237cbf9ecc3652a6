"""What the rule promises, by simulation: false candidates, coverage, power, caught regressions.

The sequences are played by `gate_vectors`, a second writing of the rule. The first tests here
demand that it and the gate agree on random samples, pair by pair; the counts rest on that.
`simulate_gate.py` plays ten times as many and records the exact bounds.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from gate_cases import comparison
from gate_noise import NOISES, shared
from gate_vectors import (
    CONTINUE,
    GUARD,
    KEEP,
    NOT_PROVEN,
    SLOWER,
    Ends,
    Layout,
    aa_floors,
    clip,
    components,
    confirmed,
    fixed_bounds,
    run,
)
from simulate_gate import LAYOUTS, RECORD, play

from lance_autoresearch.policy import DEFAULT
from lance_autoresearch.records import Comparison, Outcome, Verdict
from lance_autoresearch.rules import gate as rule
from lance_autoresearch.rules.confirmation import aa_sd, confirm
from lance_autoresearch.rules.estimator import pair_value
from lance_autoresearch.rules.stats import exact_bounds, percent

SD = 0.004
MOST = DEFAULT.max_pairs


def both_ways(
    name: str, layout: Layout, gain: np.ndarray, seed: int
) -> tuple[Comparison, np.ndarray, np.ndarray]:
    """As many pairs as a trial may take, the very pair values the gate reads from them; an A/A."""
    rng = np.random.default_rng([seed, len(layout.op)])
    width, ops = len(layout.op), [f"op{k}" for k in layout.op]
    draw = NOISES[name]
    null = comparison(draw(rng, (1, 16, width), SD)[0], rng, ops, rounds=1, size=1e8)
    built = comparison(draw(rng, (1, MOST, width), SD)[0] + gain, rng, ops, rounds=1, size=1e8)
    values, nulls = (
        np.array([[[pair_value(p, c) for c in range(width)] for p in part.pairs]])
        for part in (built, null)
    )
    return replace(built, aa_sd=aa_sd(null)), values, nulls


def outcome_code(result: rule.GateResult) -> int:
    if result.outcome is Outcome.REVERT:
        if result.reason.startswith("guard"):
            return GUARD
        return NOT_PROVEN if result.reason == rule.NOT_PROVEN else SLOWER
    return {Outcome.CONTINUE: CONTINUE, Outcome.KEEP_CANDIDATE: KEEP}[result.outcome]


def agree(ends: Ends, result: rule.GateResult) -> None:
    assert (ends.outcome[0], ends.pairs[0]) == (outcome_code(result), result.pairs)
    assert ends.e[0] == pytest.approx(result.e, rel=1e-9)
    if result.e > 0:
        assert result.components[ends.claim[0]].name == result.claim
    for k, component in enumerate(result.components):
        shown = [percent(float(end[0, k])) for end in (ends.low, ends.high)]
        assert shown == pytest.approx([component.low, component.high], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("label", LAYOUTS)
@pytest.mark.parametrize("name", NOISES)
def test_both_writings_of_the_rule_agree(name: str, label: str) -> None:
    layout = LAYOUTS[label]
    seen = set()
    for seed, gain in enumerate((0.0, 0.005, 0.012, 0.03, -0.01, 0.08)):
        per_combo = np.full(len(layout.op), gain)
        if seed == 3 and len(layout.op) > 1:
            per_combo[0] = -0.09
        built, values, nulls = both_ways(name, layout, per_combo, seed)
        result = rule.replay(built)
        agree(run(values, layout, aa_floors(nulls, layout)), result)
        seen.add(result.outcome)
    assert len(seen) > 1, "the samples must reach different ends to show anything"


@pytest.mark.parametrize("name", NOISES)
def test_both_writings_of_the_confirmation_agree(name: str) -> None:
    layout = LAYOUTS["4 combos, 2 ops"]
    rng, ends = np.random.default_rng(5), []
    for _ in range(25):
        gains = 0.008 + rng.normal(0, 0.01, 4)
        rows = NOISES[name](rng, (1, 16, 4), SD)[0] + gains
        ops = [f"op{k}" for k in layout.op]
        built = comparison(rows, rng, ops, rounds=1, size=1e8)
        values = np.array([[[pair_value(p, c) for c in range(4)] for p in built.pairs]])
        verdict = confirm(built, None, "all").verdict
        assert bool(confirmed(values, layout, 0)[0]) == (verdict is Verdict.KEEP)
        ends.append(verdict)
    assert len(set(ends)) == 2


# --- false candidates -----------------------------------------------------------------------

COUNT = 24_000
"""Null sequences a noise model, over all layouts."""


@pytest.mark.parametrize("name", NOISES)
def test_a_kernel_that_gains_nothing_is_not_a_candidate(name: str) -> None:
    proven = sum(
        play(NOISES[name], layout, 0.0, COUNT // len(LAYOUTS), [7, k])["proven"]
        for k, layout in enumerate(LAYOUTS.values())
    )
    assert proven / COUNT < 2.5e-4


def test_not_even_at_the_margin() -> None:
    """The hardest null, under symmetric independent noise: no more than the promised rate."""
    names = ("normal", "shared", "heavy", "outliers", "bursts")
    layouts = (LAYOUTS["1 combo"], LAYOUTS["4 combos, 2 ops"])
    told = [
        play(NOISES[n], layout, DEFAULT.margin, 6_000, [8, i, k])
        for i, n in enumerate(names)
        for k, layout in enumerate(layouts)
    ]
    assert sum(t["proven"] for t in told) / sum(t["n"] for t in told) < 2.5e-4
    assert sum(t["missed"] for t in told) / sum(t["n"] for t in told) < 0.01


def test_the_recorded_simulation_is_large_and_within_the_promise() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    nulls = [s for s in record["summary"] if s["gain_percent"] == 0.0 and s["sd"] == SD]
    promised = [s for s in nulls if s["noise"] != "rarely_slow"]
    assert {s["noise"] for s in promised} == {*NOISES, "two_sided"}
    for line in promised:
        assert line["sequences"] >= 100_000
        assert line["false_candidates"] / line["sequences"] < 2.5e-4
        bounds = exact_bounds(line["false_candidates"], line["sequences"])
        assert (line["low"], line["high"]) == bounds


# --- coverage -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOISES)
def test_the_interval_shown_covers_the_truth_at_whatever_pair_the_gate_stops(name: str) -> None:
    layout = LAYOUTS["4 combos, 2 ops"]
    for gain in (0.0, 0.012):
        told = play(NOISES[name], layout, gain, 8_000, [9])
        assert exact_bounds(told["missed"], told["n"], 0.9).low < 0.01


@pytest.mark.parametrize("name", [n for n in NOISES if n != "skewed"])
def test_confirmations_interval_covers_at_its_level(name: str) -> None:
    """99 % of 40,000, where the plain interval of clipped values covers 98.7 %.

    One-sided tails ('skewed') are left out: there Student's interval itself falls short.
    """
    layout, count = LAYOUTS["4 combos, 2 ops"], 40_000
    values = NOISES[name](np.random.default_rng(11), (count, 16, 4), SD)
    cut = clip(values)
    changed = (cut != values).sum(axis=1)
    low, high = fixed_bounds(
        components(cut, layout)[:, :, :1], changed.mean(axis=1, keepdims=True), 1e-4, 0.99
    )
    missed = int(((low > 0) | (high < 0)).sum())
    assert exact_bounds(missed, count).low < (0.012 if name == "two_states" else 0.01)


# --- power ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("sd", "pairs"), [(0.005, 16), (0.0075, 24), (0.0106, 48)])
@pytest.mark.parametrize("label", LAYOUTS)
def test_a_true_gain_of_1_5_percent_becomes_a_candidate(label: str, sd: float, pairs: int) -> None:
    """At a pair SD of 0.5 %, of 0.75 % as of our fastest kernels, and of 1.06 %, the noisiest
    machine whose trials take as many pairs as it needs; the goal is 95 of 100."""
    policy = DEFAULT.fitted(sd)
    layout, rng, count = LAYOUTS[label], np.random.default_rng(12), 4_000
    width = len(layout.op)

    def draw(n: int) -> np.ndarray:
        return np.repeat(rng.normal(0, sd, (count, n, 1)), width, axis=2)

    most = policy.max_pairs
    own = 1e-4 * rng.normal(size=(count, most, width))
    ends = run(draw(most) + own + np.log(1.015), layout, aa_floors(draw(16), layout), policy)
    assert (ends.outcome == KEEP).mean() >= 0.95
    assert np.median(ends.pairs) <= pairs


@pytest.mark.parametrize("width", [4, 9, 12])
def test_a_regression_of_one_combo_in_a_faster_kernel_is_caught(width: int) -> None:
    """One combo takes 5 % longer, the rest is 3 % faster; confirmed under fresh layouts.

    Layouts move one combo by 1.5 % at confirmation. Caught is what either stage stops.
    """
    layout, rng, count = Layout((0,) * width), np.random.default_rng(13), 6_000
    gain = np.full(width, np.log(1.03))
    gain[0] = -np.log(1.05)
    floors = aa_floors(shared(rng, (count, 16, width), SD), layout)
    screened = run(shared(rng, (count, MOST, width), SD) + gain, layout, floors)
    fresh = shared(rng, (count, 16, width), SD) + rng.normal(0, 0.015, (count, 16, width)) + gain
    kept = (screened.outcome == KEEP) & confirmed(fresh, layout, 0)
    assert kept.mean() <= 0.01


def test_and_the_same_kernel_without_the_regression_is_kept() -> None:
    layout, rng, count = Layout((0,) * 9), np.random.default_rng(14), 4_000
    floors = aa_floors(shared(rng, (count, 16, 9), SD), layout)
    gain = np.log(1.03)
    screened = run(shared(rng, (count, MOST, 9), SD) + gain, layout, floors)
    fresh = shared(rng, (count, 16, 9), SD) + rng.normal(0, 0.015, (count, 16, 9)) + gain
    kept = (screened.outcome == KEEP) & confirmed(fresh, layout, 0)
    assert kept.mean() >= 0.95
