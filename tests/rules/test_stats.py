"""The statistics against SciPy and against direct integration of what the formulas stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special
from scipy import stats as oracle

from lance_autoresearch.rules import stats

finite = st.floats(-1e3, 1e3)
lists = st.lists(finite, min_size=1, max_size=40)


@given(lists)
def test_median_and_mad_are_scipys(values: list[float]) -> None:
    assert stats.median(values) == pytest.approx(np.median(values), abs=1e-12)
    assert stats.mad(values) == pytest.approx(oracle.median_abs_deviation(values), abs=1e-9)


@given(st.lists(finite, min_size=2, max_size=40))
def test_mean_and_sd_are_numpys(values: list[float]) -> None:
    assert stats.mean(values) == pytest.approx(np.mean(values), abs=1e-9)
    assert stats.sd(values) == pytest.approx(np.std(values, ddof=1), abs=1e-9)


def test_one_value_does_not_spread_and_none_has_no_middle() -> None:
    assert stats.sd([3.0]) == 0.0
    with pytest.raises(ValueError, match=r"^median of nothing$"):
        stats.median([])


@given(lists, st.randoms())
def test_order_does_not_change_a_bit(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert stats.mean(values) == stats.mean(shuffled)
    assert stats.sd(values) == stats.sd(shuffled)


def test_clip_moves_the_outlier_to_three_scaled_mads_and_deletes_nothing() -> None:
    values = [0.0, 1.0, 2.0, 3.0, 4.0, 100.0]
    middle, reach = 2.5, 3 * 1.4826 * 1.5
    assert stats.clip(values, 3.0, 1) == (0.0, 1.0, 2.0, 3.0, 4.0, middle + reach)


def test_clip_leaves_values_alone_when_most_coincide() -> None:
    assert stats.clip([1.0, 1.0, 1.0, 1.0, 1.3], 3.0, 0) == (1.0, 1.0, 1.0, 1.0, 1.3)
    assert stats.clip([0.0, 0.0, 0.0, 1.0, 5.0], 3.0, 1) == (0.0, 0.0, 0.0, 1.0, 1.0)


def test_clip_does_not_cut_off_a_second_state() -> None:
    values = [0.02, 0.021, 0.019, 0.02, 0.02, -0.02, -0.021]
    assert stats.clip(values, 3.0, 1) == (*values[:6], pytest.approx(-0.02))


def test_the_normal_quantile_in_the_mad_is_right() -> None:
    assert pytest.approx(1 / oracle.norm.ppf(0.75), abs=5e-5) == stats.MAD_TO_SD


@given(st.integers(1, 10**13), st.integers(1, 10**13))
def test_ln_ratio(over: int, under: int) -> None:
    ours = stats.compute_ln_ratio(over, under)
    assert ours == pytest.approx(math.log(over) - math.log(under), abs=2e-14, rel=2e-15)
    assert ours == -stats.compute_ln_ratio(under, over)
    assert stats.compute_ln_ratio(3 * over, 3 * under) == pytest.approx(ours, abs=1e-15, rel=4e-16)


def test_ln_ratio_near_one_keeps_relative_precision() -> None:
    assert stats.compute_ln_ratio(10**12 + 1, 10**12) == pytest.approx(1e-12, rel=1e-11)
    assert stats.compute_ln_ratio(7, 7) == 0.0


def test_ln_of_nothing_is_refused() -> None:
    for over, under in ((0, 5), (5, 0), (-1, 5)):
        with pytest.raises(ValueError, match=f"^logarithm of {over}/{under}$"):
            stats.compute_ln_ratio(over, under)


@given(st.floats(-600, 600))
def test_expm1(x: float) -> None:
    assert stats.expm1(x) == pytest.approx(math.expm1(x), rel=1e-12, abs=1e-300)


def test_expm1_and_percent_at_the_ends() -> None:
    assert stats.expm1(math.inf) == math.inf
    assert stats.expm1(-math.inf) == -1.0
    assert stats.expm1(1e4) == stats.expm1(701.5) == stats.expm1(700.5) == math.inf
    assert stats.expm1(700.0) == pytest.approx(math.expm1(700.0), rel=1e-12)
    assert stats.expm1(-800.0) == -1.0
    assert stats.convert_to_percent(-math.inf) == -math.inf
    assert stats.convert_to_percent(math.log(1.05)) == pytest.approx(5.0)


@given(st.floats(-60, 60).filter(lambda t: abs(t) > 1e-5), st.floats(1, 60))
def test_t_cdf(t: float, dof: float) -> None:
    assert stats.compute_t_cdf(t, dof) == pytest.approx(oracle.t.cdf(t, dof), rel=1e-9, abs=1e-15)


@given(st.floats(-1e-5, 1e-5), st.floats(1, 60))
def test_t_cdf_near_the_centre_is_the_tangent(t: float, dof: float) -> None:
    """Not SciPy's: for dof 1 and t = 3e-8 its cdf - 1/2 is 0.7 % off arctan(t)/pi."""
    tangent = 0.5 + t * float(oracle.t.pdf(0.0, dof))
    assert stats.compute_t_cdf(t, dof) == pytest.approx(tangent, abs=1e-15)


@given(st.floats(-1e4, 1e4))
def test_t_cdf_with_one_degree_of_freedom_is_cauchys(t: float) -> None:
    assert stats.compute_t_cdf(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-13)


@pytest.mark.parametrize("dof", [1, 2, 3, 6.75, 15, 31, 200])
@pytest.mark.parametrize("p", [0.005, 0.2, 0.5, 0.9, 0.995, 1 - 0.005 / 12])
def test_t_quantile(p: float, dof: float) -> None:
    assert stats.find_t_quantile(p, dof) == pytest.approx(oracle.t.ppf(p, dof), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1])
def test_impossible_quantiles_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        stats.find_t_quantile(p, 5)


@given(st.floats(0.3, 400), st.floats(0.3, 400), st.floats(0, 1))
def test_incomplete_beta(a: float, b: float, x: float) -> None:
    assert stats.compute_incomplete_beta(a, b, x) == pytest.approx(
        special.betainc(a, b, x), abs=1e-11
    )


@pytest.mark.parametrize(
    ("events", "trials"), [(0, 10), (10, 10), (0, 3000), (1, 3000), (5, 9), (31, 200_000)]
)
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_exact_bounds(events: int, trials: int, level: float) -> None:
    ours = stats.compute_exact_bounds(events, trials, level)
    theirs = oracle.binomtest(events, trials).proportion_ci(level, "exact")
    assert ours.low == pytest.approx(theirs.low, rel=1e-6, abs=1e-15)
    assert ours.high == pytest.approx(theirs.high, rel=1e-6)


def test_exact_bounds_refuse_more_events_than_trials() -> None:
    with pytest.raises(ValueError, match="4 events in 3 trials"):
        stats.compute_exact_bounds(4, 3)


def mixture_e(t: float, n: int, prior: float) -> float:
    """The likelihood ratio that the formula stands for, by integrating over effect and SD.

    Numerator: noncentral t with effect size d = mean/sd drawn from N(0, prior); denominator:
    central t. (With the right-Haar prior 1/sd on both sides the data's likelihood ratio is
    that of the t statistic.)
    """

    def weighted(d: float) -> float:
        density = oracle.nct.pdf(t, n - 1, d * math.sqrt(n))
        return float(density * oracle.norm.pdf(d, scale=math.sqrt(prior)))

    peak, width = t / math.sqrt(n), 12.0
    top, _ = integrate.quad(weighted, peak - width, peak + width, points=[peak, 0.0], limit=400)
    return float(top / oracle.t.pdf(t, n - 1))


@pytest.mark.parametrize("n", [4, 7, 12, 24])
@pytest.mark.parametrize("t", [0.0, 0.7, -1.5, 3.0, 6.0])
def test_e_value_is_the_mixture(t: float, n: int) -> None:
    assert stats.compute_e_value(t, n, 4.0) == pytest.approx(mixture_e(t, n, 4.0), rel=1e-4)


@pytest.mark.parametrize("n", [2, 4, 7, 24])
def test_e_value_averages_to_one_under_the_null(n: int) -> None:
    def integrand(t: float) -> float:
        return stats.compute_e_value(t, n, 4.0) * float(oracle.t.pdf(t, n - 1))

    total = 2 * integrate.quad(integrand, 0, np.inf, limit=400)[0]
    assert total == pytest.approx(1.0, abs=1e-5)


def test_e_value_is_bounded_so_that_pair_seven_is_the_earliest() -> None:
    assert stats.compute_e_value(math.inf, 6, 4.0) == pytest.approx(25**2.5)
    assert stats.compute_e_value(1e9, 6, 4.0) < 4000 < stats.compute_e_value(1e3, 7, 4.0)


def test_e_value_of_too_few_or_too_much_stays_a_number() -> None:
    assert stats.compute_e_value(3.0, 1, 4.0) == 1.0
    assert math.isfinite(stats.compute_e_value(math.inf, 500, 4.0))


@pytest.mark.parametrize("n", [5, 9, 24, 60])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_interval_is_the_inversion_of_the_e_value(n: int, alpha: float) -> None:
    edge = stats.compute_any_stop_t(n, 4.0, alpha)
    assert stats.compute_e_value(edge, n, 4.0) == pytest.approx(1 / alpha, rel=1e-9)
    assert (
        stats.compute_e_value(edge * 0.999, n, 4.0)
        < 1 / alpha
        < stats.compute_e_value(edge * 1.001, n, 4.0)
    )


def test_the_interval_is_open_while_no_e_value_can_reach_it() -> None:
    assert stats.compute_e_value(math.inf, 4, 4.0) < 100
    assert stats.compute_any_stop_t(4, 4.0, 0.01) == math.inf
    assert stats.compute_any_stop_bounds(0.1, 0.2, 4, 4.0, 0.99) == (-math.inf, math.inf)


def test_t_bounds_are_students() -> None:
    low, high = stats.compute_t_bounds(2.0, 0.5, 15, 0.99)
    theirs = oracle.t.interval(0.99, 15, loc=2.0, scale=0.5)
    assert (low, high) == pytest.approx(theirs, abs=1e-8)
