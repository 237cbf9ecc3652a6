"""Small statistics of the decision: pure functions on plain numbers, one source per formula.

A replay of a verdict must give the same bits on any machine. Therefore sums are `math.fsum`
(correctly rounded, so the order does not matter), and what decides on screening data uses only
operations IEEE 754 rounds correctly (+ - * / sqrt) and series built from them: no libm, whose
last bit differs between machines. Student's t and the exact bounds do use libm; they are
rounded to ten digits, far above its last bit.

    compute_ln_ratio(1050, 1000)     0.04879016416943201
    compute_e_value(12.0, 9, 4.0)    15687.9: e-value of t = 12 over nine pairs
    compute_any_stop_t(9, 4.0, 0.01)  5.33: half width, in standard errors, valid at any stop
    find_t_quantile(0.995, 15)    2.946712883
    compute_exact_bounds(0, 3000, 0.99)  (0.0, 0.00176...)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

MAD_TO_SD = 1.4826
"""1 / Phi^-1(3/4): makes the MAD of normal data estimate their SD (Hampel 1974)."""

LN2 = 0.6931471805599453
_LARGEST_LN_E = 690.0
"""Above it an e-value is reported as exp(690), about 1e299, so that it stays a finite number."""


class Bounds(NamedTuple):
    """Lower and upper end of an interval."""

    low: float
    high: float


# --- exact arithmetic on floats -------------------------------------------------------------


def compute_ln_ratio(over: int, under: int) -> float:
    """Natural logarithm of `over / under`, both > 0; antisymmetric to the last bit.

    Halves the ratio into [1/sqrt 2, sqrt 2], then ln q = 2 artanh((q-1)/(q+1)) by its series
    (Abramowitz & Stegun 4.1.27); twelve terms leave an error below 1e-18 of the sum.
    """
    if over <= 0 or under <= 0:
        raise ValueError(f"logarithm of {over}/{under}")
    if over < under:
        return -compute_ln_ratio(under, over)
    halvings = max(0, over.bit_length() - under.bit_length() - 1)
    under <<= halvings
    while over * over > 2 * under * under:
        under *= 2
        halvings += 1
    z = (over - under) / (over + under)
    square, series = z * z, 0.0
    for k in range(23, 0, -2):
        series = series * square + 1.0 / k
    return halvings * LN2 + 2.0 * z * series


def ln(x: float) -> float:
    """Natural logarithm of a finite x > 0, the same bits everywhere."""
    return compute_ln_ratio(*x.as_integer_ratio())


def expm1(x: float) -> float:
    """exp(x) - 1, the same bits everywhere; x of +-inf gives inf and -1.

    Taylor's series at x / 2^k, |x / 2^k| <= 1/8, then expm1(2h) = p (2 + p) k times.
    """
    if math.isinf(x) or x > 700.0:
        return math.inf if x > 0 else -1.0
    if x < -700.0:
        return -1.0
    doublings = 0
    while abs(x) > 0.125:
        x *= 0.5
        doublings += 1
    series = 0.0
    for k in range(14, 0, -1):
        series = (series + 1.0) * x / k
    for _ in range(doublings):
        series *= 2.0 + series
    return series


def convert_to_percent(log_ratio: float) -> float:
    """ln(champion/candidate) as the gain shown to people: 100 (champion/candidate - 1).

    An open end of an interval (-inf, inf) stays open.
    """
    return log_ratio if math.isinf(log_ratio) else 100.0 * expm1(log_ratio)


# --- location and scale ---------------------------------------------------------------------


def median(values: Sequence[float]) -> float:
    """Middle value; of an even number the mean of the two middle ones."""
    if not values:
        raise ValueError("median of nothing")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])


def mad(values: Sequence[float]) -> float:
    """Median of the absolute deviations from the median, not rescaled."""
    middle = median(values)
    return median([abs(v - middle) for v in values])


def clip(values: Sequence[float], width: float, most: int) -> tuple[float, ...]:
    """Values limited to median +- width x 1.4826 x MAD, at most `most` of them (winsorising).

    None is deleted. If more than `most` lie beyond, the reach grows until only they do: then
    they are a second state of the noise, not outliers, and cutting it off would leave an SD
    that says nothing. A MAD of 0 likewise says that values coincide, not that nothing varies.
    """
    middle = median(values)
    apart = sorted(abs(v - middle) for v in values)
    reach = max(width * MAD_TO_SD * median(apart), apart[max(0, len(apart) - 1 - most)])
    if reach == 0.0:
        return tuple(values)
    return tuple(
        v if abs(v - middle) <= reach else middle + math.copysign(reach, v - middle) for v in values
    )


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, from the correctly rounded sum."""
    return math.fsum(values) / len(values)


def sd(values: Sequence[float]) -> float:
    """Standard deviation with n - 1; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - 1))


# --- e-values -------------------------------------------------------------------------------


def compute_e_value(t: float, n: int, prior: float) -> float:
    """E-value of n normal values with t = (mean - null) / (sd / sqrt n): method 2.5's E(t,n,g).

        E = (1+ng)^-1/2 [ (1 + t^2/(n-1)) / (1 + t^2/((n-1)(1+ng))) ]^(n/2)

    The likelihood ratio of 'mean - null is N(0, g sd^2)' against 'it is 0', with the
    right-Haar prior 1/sd on the unknown sd in both (Robbins 1970; Lai 1976; the normal prior
    under Rouder et al. 2009's scaling; mSPRT as in Johari et al. 2017). Over n = 2, 3, ... it
    is a martingale of the t statistics, so P(it ever reaches c) <= 1/c under the null.
    Bounded by (1+ng)^((n-1)/2).
    """
    if n < 2:
        return 1.0
    widened = 1.0 + n * prior
    if math.isinf(t):
        log_e = 0.5 * (n - 1) * ln(widened)
    else:
        x = t * t / (n - 1)
        log_e = 0.5 * (n * ln((1.0 + x) / (1.0 + x / widened)) - ln(widened))
    return 1.0 + expm1(min(log_e, _LARGEST_LN_E))


def compute_any_stop_t(n: int, prior: float, alpha: float) -> float:
    """The |t| at which `compute_e_value` reaches 1/alpha; inf if n is too small for it.

    mean +- this x sd/sqrt n holds the null values whose E stays below 1/alpha: a confidence
    sequence, which covers the truth at *every* n at once with probability >= 1 - alpha
    (Ville's inequality), hence at whatever n one stops. From x = t^2/(n-1), k = 1+ng:
    (1+x)/(1+x/k) = R = (k/alpha^2)^(1/n), so x = (R-1)/(1-R/k).
    """
    if n < 2:
        return math.inf
    k = 1.0 + n * prior
    excess = expm1(ln(k / (alpha * alpha)) / n)
    room = 1.0 - (1.0 + excess) / k
    return math.sqrt((n - 1) * excess / room) if room > 0.0 else math.inf


# --- Student's t and exact bounds -----------------------------------------------------------


def compute_incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta I_x(a, b): continued fraction DLMF 8.17.22."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - compute_incomplete_beta(b, a, 1.0 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _compute_beta_fraction(a, b, x))


def _compute_beta_fraction(a: float, b: float, x: float) -> float:
    """Denominator 1 + d1/(1 + d2/(1 + ...)) of DLMF 8.17.22, by Lentz's method."""
    tiny = 1e-300
    value, c, d = 1.0, 1.0, 0.0
    for i in range(1, 20_001):
        m, even = divmod(i, 2)
        if even:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        else:
            step = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d = 1.0 / (1.0 + step * d or tiny)
        c = 1.0 + step / c or tiny
        value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            return value
    return value


def compute_t_cdf(t: float, dof: float) -> float:
    """P(T <= t): DLMF 8.17 / Abramowitz & Stegun 26.7.1, through the incomplete beta."""
    if t * t < dof:  # the middle: from the centre outwards, so that small t keep their digits
        return 0.5 + math.copysign(
            0.5 * compute_incomplete_beta(0.5, 0.5 * dof, t * t / (dof + t * t)), t
        )
    tail = 0.5 * compute_incomplete_beta(0.5 * dof, 0.5, dof / (dof + t * t))
    return 1.0 - tail if t > 0 else tail


@lru_cache(maxsize=256)
def find_t_quantile(p: float, dof: float) -> float:
    """t with P(T <= t) = p, 0 < p < 1, by bisection; ten significant digits."""
    if not 0.0 < p < 1.0 or dof <= 0:
        raise ValueError(f"no quantile {p} of t with {dof} degrees of freedom")
    if p < 0.5:
        return -find_t_quantile(1.0 - p, dof)
    low, high = 0.0, 1.0
    while compute_t_cdf(high, dof) < p:
        low, high = high, 2.0 * high
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if compute_t_cdf(middle, dof) < p else (low, middle)
    return float(f"{high:.10g}")


def compute_t_bounds(centre: float, error: float, dof: float, level: float) -> Bounds:
    """Fixed-n two-sided t interval of a mean with this standard error (Student 1908).

    Infinite for dof <= 0.
    """
    if dof <= 0:
        return Bounds(-math.inf, math.inf)
    half = find_t_quantile(0.5 + 0.5 * level, dof) * error
    return Bounds(centre - half, centre + half)


def compute_any_stop_bounds(
    centre: float, spread: float, n: int, prior: float, level: float
) -> Bounds:
    """Interval of a mean that is valid at any stopping time (see `compute_any_stop_t`)."""
    half = compute_any_stop_t(n, prior, 1.0 - level)
    if math.isinf(half):
        return Bounds(-math.inf, math.inf)
    half *= spread / math.sqrt(n)
    return Bounds(centre - half, centre + half)


def compute_exact_bounds(events: int, trials: int, level: float = 0.99) -> Bounds:
    """Two-sided Clopper-Pearson bounds of a proportion (Biometrika 26, 1934).

    `exact_bounds(k, n, 2 * level - 1).high` is the one-sided upper bound at `level`.
    """
    if not 0 <= events <= trials or trials < 1:
        raise ValueError(f"{events} events in {trials} trials")
    tail = 0.5 * (1.0 - level)
    low = _find_beta_quantile(tail, events, trials - events + 1) if events else 0.0
    high = _find_beta_quantile(1.0 - tail, events + 1, trials - events) if events < trials else 1.0
    return Bounds(low, high)


def _find_beta_quantile(p: float, a: int, b: int) -> float:
    low, high = 0.0, 1.0
    while low < (middle := 0.5 * (low + high)) < high and high - low > 1e-13 * high:
        low, high = (middle, high) if compute_incomplete_beta(a, b, middle) < p else (low, middle)
    return float(f"{high:.10g}")
