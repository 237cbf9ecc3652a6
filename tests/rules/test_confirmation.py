"""Confirmation: each condition fails a comparison that breaks it and no other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from gate_cases import comparison
from scipy import stats as oracle

from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import (
    Claim,
    ComboId,
    Comparison,
    Guard,
    PairTimes,
    ReasonKind,
    Verdict,
    Void,
    VoidCause,
)
from lance_autoresearch.rules.confirmation import (
    confirm_claim,
    measure_bias,
    measure_spread,
)
from lance_autoresearch.rules.defences import find_floor_flags, judge_opponent
from lance_autoresearch.rules.estimator import compute_samples
from lance_autoresearch.rules.policy import DEFAULT

SPREAD = oracle.norm.ppf((np.arange(16) + 0.5) / 16)
"""Sixteen values like a normal sample, in no sample's luck."""


def built(
    gains: list[float],
    sd: float = 0.004,
    pairs: int = 16,
    ops: list[str] | None = None,
    **more: object,
) -> Comparison:
    """Every combo spreads alike around its gain, in an order of its own."""
    rng = np.random.default_rng(3)
    columns = [g + sd * rng.permutation(SPREAD)[:pairs] for g in gains]
    return comparison(np.transpose(columns).tolist(), rng, ops, **more)  # type: ignore[arg-type]


def test_a_gain_that_stands_is_kept_with_its_own_estimate() -> None:
    result = confirm_claim(built([0.02, 0.02, 0.02]), built([0.02] * 3, pairs=4), "all", DEFAULT)
    assert (result.verdict, result.reason.kind) == (Verdict.KEEP, ReasonKind.CONFIRMED)
    assert result.claimed.gain == pytest.approx(100 * np.expm1(0.02), abs=0.05)
    assert result.long_blocks is not None
    assert result.long_blocks.n == 4


def test_the_interval_is_students_where_nothing_is_clipped() -> None:
    one = built([0.02])
    values = compute_samples(one, DEFAULT).combos[0]
    assert values.clipped == 0
    low, high = oracle.ttest_1samp(values.values, 0).confidence_interval(0.99)
    claimed = confirm_claim(one, None, "all", DEFAULT).claimed
    assert (claimed.low, claimed.high) == pytest.approx(
        (100 * np.expm1(low), 100 * np.expm1(high)), rel=1e-6
    )


def test_clipped_values_widen_it() -> None:
    rows = (0.02 + 0.004 * SPREAD)[:, None].tolist()
    rows[7] = [-1.5]
    sample = compute_samples(comparison(rows, np.random.default_rng(0)), DEFAULT).combos[0]
    assert sample.clipped == 1
    low, high = sample.compute_fixed_bounds(0.99)
    plain = oracle.t.interval(0.99, 14, sample.mean, sample.sd / 4)
    assert high - low == pytest.approx((plain[1] - plain[0]) * 15 / 14, rel=1e-6)


@pytest.mark.parametrize(("slow", "verdict"), [((), "keep"), ((-0.1,), "revert"), ((0.3,), "keep")])
def test_slow_processes_of_the_candidate_are_no_outliers(
    slow: tuple[float, ...], verdict: str
) -> None:
    """One process in 16 that is 10 % slower is clipped from the gain, and forbids the keep.

    One in which the champion was slow, as a neighbour makes it, does not.
    """
    rows = (0.015 + 0.004 * SPREAD)[:, None].tolist()
    rows[: len(slow)] = [[s] for s in slow]
    result = confirm_claim(comparison(rows, np.random.default_rng(0)), None, "all", DEFAULT)
    assert result.verdict == verdict
    assert result.claimed.low > 0.8
    if verdict == "revert":
        assert result.reason.kind is ReasonKind.SLOW_PROCESSES
        assert result.reason.gain == pytest.approx(0.84, abs=0.005)
        assert result.reason.bound < 0


@pytest.mark.parametrize(("gain", "verdict"), [(0.0075, "revert"), (0.0085, "keep")])
def test_the_claims_interval_must_lie_above_the_margin(gain: float, verdict: str) -> None:
    half = 2.947 * 0.004 * np.std(SPREAD, ddof=1) / 4
    assert 0.0075 < DEFAULT.margin + half < 0.0085
    result = confirm_claim(built([gain]), None, "all", DEFAULT)
    assert result.verdict == verdict
    assert verdict == "keep" or result.reason.kind is ReasonKind.CLAIM_TOO_SMALL


@pytest.mark.parametrize(("other", "verdict"), [(-0.009, "keep"), (-0.019, "revert")])
def test_the_other_ops_may_not_be_lower_than_two_percent(other: float, verdict: str) -> None:
    result = confirm_claim(built([0.05, other], ops=["scan", "table"]), None, "scan", DEFAULT)
    assert result.verdict == verdict
    if verdict == "revert":
        assert (result.reason.kind, result.reason.about) == (ReasonKind.OTHER_OP_SLOWER, "table")
        assert -2 < result.reason.bound < 0, "its whole interval lies below zero"


def test_a_claim_of_one_op_needs_all_combos_above_the_floor_too() -> None:
    ops = ["scan", "table", "merge"]
    result = confirm_claim(built([0.03, -0.06, -0.06], ops=ops), None, "scan", DEFAULT)
    assert result.reason.kind is ReasonKind.OTHER_OP_SLOWER
    assert result.reason.about == "all"


@pytest.mark.parametrize(
    ("gain", "sd", "guard"),
    [
        (-0.005, 0.004, Guard.OK),
        (-0.018, 0.004, Guard.SLOWER),
        (-0.02, 0.04, Guard.MAY_BE_SLOWER),
        (0.0, 0.03, Guard.OK),
    ],
)
def test_the_guard_by_lower_and_upper_bound(gain: float, sd: float, guard: Guard) -> None:
    rng = np.random.default_rng(4)
    columns = [0.04 + 0.004 * rng.permutation(SPREAD) for _ in range(8)]
    columns.append(gain + sd * rng.permutation(SPREAD))
    result = confirm_claim(comparison(np.transpose(columns).tolist(), rng), None, "all", DEFAULT)
    assert result.combos[-1].guard is guard
    assert [r.guard for r in result.combos[:-1]] == [Guard.OK] * 8
    assert result.verdict is (Verdict.KEEP if guard is Guard.OK else Verdict.REVERT)
    assert guard is Guard.OK or result.reason.about == "scan 16x65536 sparse"
    kinds = {Guard.OK: ReasonKind.CONFIRMED, Guard.SLOWER: ReasonKind.COMBO_SLOWER,
             Guard.MAY_BE_SLOWER: ReasonKind.COMBO_MAY_BE_SLOWER}  # fmt: skip
    assert result.reason.kind is kinds[guard]


def test_the_guard_holds_for_all_combos_together() -> None:
    """Bonferroni: with nine combos each interval is at 99.89 %."""
    result = confirm_claim(built([0.03] * 9), None, "all", DEFAULT)
    sample = compute_samples(built([0.03] * 9), DEFAULT).combos[0]
    low, _ = sample.compute_fixed_bounds(1 - 0.01 / 9)
    assert result.combos[0].low == pytest.approx(100 * np.expm1(low))


@pytest.mark.parametrize(("long", "verdict"), [(0.012, "keep"), (0.005, "revert")])
def test_long_blocks_fail_it_only_where_significantly_lower(long: float, verdict: str) -> None:
    long_blocks = built([long] * 4, sd=0.001, pairs=4)
    result = confirm_claim(built([0.02] * 4), long_blocks, "all", DEFAULT)
    assert result.verdict == verdict
    assert verdict == "keep" or result.reason.kind is ReasonKind.LONG_BLOCKS


@pytest.mark.parametrize(("long", "verdict"), [(-0.02, "keep"), (-0.06, "revert")])
def test_noisy_long_blocks_are_given_six_standard_errors(long: float, verdict: str) -> None:
    """Their SD is 2.3 %, so that of the mean of four is 1.2 %."""
    rows = [[long + e] for e in (0.02, -0.02, 0.015, -0.015)]
    long_blocks = comparison(rows, np.random.default_rng(1))
    assert confirm_claim(built([0.02]), long_blocks, "all", DEFAULT).verdict == verdict


def voided(whole: Comparison, count: int) -> Comparison:
    pairs = tuple(
        PairTimes(p.calls, (), (), p.empty, Void(VoidCause.KEPT_FROM_CORE)) if i < count else p
        for i, p in enumerate(whole.pairs)
    )
    return Comparison(whole.combos, pairs, whole.ticks_per_ns, whole.aa_sd)


@pytest.mark.parametrize(("count", "verdict"), [(2, "keep"), (3, "inconclusive")])
def test_void_pairs(count: int, verdict: str) -> None:
    assert confirm_claim(voided(built([0.03] * 3), count), None, "all", DEFAULT).verdict == verdict


def test_too_few_pairs_confirm_nothing() -> None:
    result = confirm_claim(built([0.03], pairs=10), None, "all", DEFAULT)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reason.kind is ReasonKind.FEW_VALID_PAIRS
    assert (result.reason.count, result.reason.total) == (10, 16)


def test_lost_long_blocks_are_the_machines_fault() -> None:
    long_blocks = voided(built([0.02], pairs=4), 3)
    assert confirm_claim(built([0.03]), long_blocks, "all", DEFAULT).verdict is Verdict.INCONCLUSIVE


def test_an_unknown_claim_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="allowed: all, scan, table"):
        confirm_claim(built([0.03, 0.03], ops=["scan", "table"]), None, "tabel", DEFAULT)


# --- the opponent, the session, the floor ---------------------------------------------------


def behind(slowdowns: Sequence[float]) -> Comparison:
    """Pairs of one combo whose champion is so much slower (ln) behind the candidate."""
    pairs = [
        PairTimes((1,), ((10**9,) * 2,), ((round(10**9 * math.exp(s)),) * 2,), (0, 0))
        for s in slowdowns
    ]
    return Comparison((ComboId("op", "toy"),), tuple(pairs), 1.0)


def test_a_slowed_opponent_is_rejected_only_with_certainty() -> None:
    def rejected(slowdowns: Sequence[float], claimed: float = 5.0) -> bool:
        return judge_opponent(behind(slowdowns), Claim("all", claimed), DEFAULT).rejected

    assert rejected([0.05, 0.051, 0.049, 0.05])
    assert not rejected([0.05, -0.01, 0.03, 0.0])
    assert not rejected([-0.05, -0.051, -0.049, -0.05]), "a champion made faster is no fault"
    assert not rejected([0.05, 0.051, 0.049, 0.05], 80.0), "80 % do not come from there"
    assert not rejected([0.009, 0.0091, 0.0089, 0.009]), "any other program in front costs as much"


def test_the_opponents_bound_is_one_sided() -> None:
    slower = np.array([0.02, 0.03, 0.025, 0.035])
    result = judge_opponent(behind(slower.tolist()), Claim("all", 5.0), replace(DEFAULT, clip=99.0))
    low = slower.mean() - oracle.t.ppf(0.99, 3) * slower.std(ddof=1) / 2
    assert result.low == pytest.approx(100 * np.expm1(low), rel=1e-6)


def test_the_spread_has_the_layout_that_comparisons_take() -> None:
    ops = ["b", "a", "b"]
    session = built([0.0, 0.0, 0.0], ops=ops)
    sds = measure_spread(session, DEFAULT)
    assert len(sds) == 3 + 2 + 1
    data = compute_samples(session, DEFAULT)
    expected = [np.std(s.values, ddof=1) for s in (*data.combos, *data.components[1:])]
    assert sds[:5] == pytest.approx(expected)
    assert sds[5] == pytest.approx(np.std(data.components[0].values, ddof=1))
    assert built([0.0] * 3, ops=ops, aa_sd=sds).aa_sd == sds


def test_the_spread_of_one_op_fits_too() -> None:
    sds = measure_spread(built([0.0, 0.0]), DEFAULT)
    assert len(sds) == 4
    assert sds[2] == sds[3]
    confirm_claim(built([0.02, 0.02], aa_sd=sds), None, "all", DEFAULT)


def test_one_outlier_process_does_not_lift_the_sessions_floor() -> None:
    rows = (0.004 * SPREAD)[:, None].tolist()
    clean = measure_spread(comparison(rows, np.random.default_rng(0)), DEFAULT)
    rows[5] = [1.7]
    assert measure_spread(comparison(rows, np.random.default_rng(0)), DEFAULT)[0] < 2 * clean[0]


def test_the_bias_has_an_interval() -> None:
    bias = measure_bias(built([0.001, 0.001, 0.001]), DEFAULT)
    assert bias.low < bias.gain < bias.high
    assert bias.gain == pytest.approx(0.1, abs=0.02)
    assert (bias.name, bias.n) == ("all", 16)


def test_times_under_the_floor_are_flagged() -> None:
    session = built([0.0, 0.0])
    first, second = (c.label for c in session.combos)
    took = 2e5 / 31 / session.ticks_per_ns
    assert find_floor_flags(session, {first: 0.9 * took}) == ()
    (flag,) = find_floor_flags(session, {first: 0.9 * took, second: 1.1 * took})
    assert (flag.combo, flag.floor_ns) == (second, 1.1 * took)


def test_a_slice_as_short_as_an_empty_one_is_flagged_whatever_the_floor() -> None:
    pair = PairTimes((4,), ((5000, 5000),), ((200, 5000),), (210, 210))
    one = Comparison((ComboId("scan", "16x256"),), (pair, pair), 1.0)
    (flag,) = find_floor_flags(one, {})
    assert flag.unmeasurable == 2
    calm = PairTimes((4,), ((5000,) * 4,), ((200, 5000, 5000, 5000),), (210, 210))
    assert find_floor_flags(replace(one, pairs=(calm, calm)), {}) == (), "one odd round is noise"
