"""The gate over many sequences at once, in NumPy: what the simulations run.

A second writing of the rule, kept beside the first: `test_gate_simulation.py` draws random
samples, gives them to `gate.run_gate` pair by pair and to this, and demands the same outcome at the
same pair and the same numbers. Only then do its counts say anything about the gate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lance_autoresearch.rules import stats
from lance_autoresearch.rules.policy import DEFAULT, Policy

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
CONTINUE, KEEP, SLOWER, GUARD, NOT_PROVEN = range(5)


@dataclass(frozen=True)
class Layout:
    """Which op each combo belongs to, with equal weights."""

    op: tuple[int, ...]

    @property
    def ops(self) -> int:
        """Number of ops."""
        return max(self.op) + 1


def fixed_bounds(
    values: Array, clipped: Array, floor: Array | float, level: float
) -> tuple[Array, Array]:
    """Fixed-n interval over axis 1, by the counts of clipped values (Dixon and Tukey)."""
    n = values.shape[1]
    left = n - clipped - 1.0
    error = np.maximum(values.std(axis=1, ddof=1), floor) / np.sqrt(n) * (n - 1) / left
    half = special.stdtrit(left, 0.5 + 0.5 * level) * error
    mean = values.mean(axis=1)
    return mean - half, mean + half


def confirmed(values: Array, layout: Layout, claim: int, policy: Policy = DEFAULT) -> Array:
    """Which sequences [sequence, pair, combo] pass claim, other components and guard."""
    cut = clip(values, policy)
    changed = (cut != values).sum(axis=1)
    counts = per_component(changed, layout)
    low, _ = fixed_bounds(components(cut, layout), counts, policy.sd_least, policy.confirm_level)
    fine = low >= policy.others_floor
    least = slow_processes(values, cut, layout, policy)
    fine[:, claim] = (low[:, claim] > policy.margin) & (least[:, claim] > policy.slow_floor)
    level = 1.0 - (1.0 - policy.guard_level) / values.shape[2]
    least, most = fixed_bounds(cut, changed, policy.sd_least, level)
    guarded = ((-most > policy.guard_low) | (-least >= policy.guard_high)).any(axis=1)
    return np.asarray(fine.all(axis=1) & ~guarded)


def per_component(changed: Array, layout: Layout) -> Array:
    """[sequence, combo] -> [sequence, component]: how many values were clipped, on average."""
    op = np.array(layout.op)
    per_op = np.stack([changed[:, op == k].mean(axis=1) for k in range(layout.ops)], axis=1)
    whole = per_op.mean(axis=1, keepdims=True)
    return np.concatenate([whole, per_op], axis=1) if layout.ops > 1 else whole


def slow_processes(values: Array, cut: Array, layout: Layout, policy: Policy) -> Array:
    """Lower ends with nothing clipped that was slow."""
    kept = np.minimum(values, cut)
    counts = per_component((kept != values).sum(axis=1), layout)
    bounds = fixed_bounds(components(kept, layout), counts, policy.sd_least, policy.confirm_level)
    return bounds[0]


@dataclass
class Ends:
    """How each sequence ended; arrays over sequences."""

    outcome: Counts
    pairs: Counts
    claim: Counts
    """Component with the largest e-value: 0 all, 1.. the ops."""
    e: Array
    low: Array
    """[sequence, component]: interval shown, natural log ratio."""
    high: Array


def clip(values: Array, policy: Policy = DEFAULT) -> Array:
    """Clip along axis 1 (pairs) of [sequence, pair, combo]."""
    pairs = values.shape[1]
    most = max(1, pairs // round(1 / policy.clip_share))
    middle = middle_of(np.sort(values, axis=1))
    apart = np.sort(np.abs(values - middle), axis=1)
    reach = policy.clip * stats.MAD_TO_SD * middle_of(apart)
    reach = np.maximum(reach, apart[:, pairs - 1 - most : pairs - most])
    inside = (np.abs(values - middle) <= reach) | (reach == 0.0)
    return np.where(inside, values, middle + np.copysign(reach, values - middle))


def middle_of(ranked: Array) -> Array:
    """Median over axis 1 of values sorted along it; the axis stays, with length 1."""
    half, odd = divmod(ranked.shape[1], 2)
    upper = ranked[:, half : half + 1]
    return upper if odd else 0.5 * (ranked[:, half - 1 : half] + upper)


def components(values: Array, layout: Layout) -> Array:
    """[sequence, pair, combo] -> [sequence, pair, component]."""
    op = np.array(layout.op)
    per_op = [values[:, :, op == k].mean(axis=2) for k in range(layout.ops)]
    whole = np.mean(per_op, axis=0)
    return np.stack([whole, *per_op] if layout.ops > 1 else [whole], axis=2)


def moments(values: Array, least: Array) -> tuple[Array, Array]:
    """Mean and floored SD over pairs."""
    return values.mean(axis=1), np.maximum(values.std(axis=1, ddof=1), least)


def aa_sds(values: Array, layout: Layout, policy: Policy = DEFAULT) -> tuple[Array, Array]:
    """SDs of A/A values, clipped and not floored: per combo, and per component (`all` first)."""
    clipped = clip(values, policy)
    return clipped.std(axis=1, ddof=1), components(clipped, layout).std(axis=1, ddof=1)


def floors_of(sds: tuple[Array, Array], policy: Policy = DEFAULT) -> tuple[Array, Array]:
    """Least SDs of a session with these: per combo and per component."""
    combos, whole = (np.maximum(policy.sd_floor * s, policy.sd_least) for s in sds)
    return combos, whole


def aa_floors(values: Array, layout: Layout, policy: Policy = DEFAULT) -> tuple[Array, Array]:
    """Least SDs from A/A values: per combo and per component."""
    return floors_of(aa_sds(values, layout, policy), policy)


def fitted(sd: Array, policy: Policy = DEFAULT) -> tuple[Counts, Counts]:
    """Most pairs of a trial, and pairs of its confirmation: `Policy.adapt_to_noise`, elementwise.

    Args:
        sd: of `all` in each session's A/A, natural log ratio (`Policy.adapt_to_noise`).
    """
    times = np.clip((sd / policy.planned_sd) ** 2, 1.0, policy.most_times)
    planned = policy.max_pairs, policy.confirm_pairs
    most, confirm = (np.rint(times * pairs).astype(np.int64) for pairs in planned)
    return most, confirm


def e_values(t: Array, n: int, prior: float) -> Array:
    """E(t, n, g), elementwise."""
    k = 1.0 + n * prior
    x = t * t / (n - 1)
    return np.exp(0.5 * (n * np.log((1 + x) / (1 + x / k)) - np.log(k)))


def run(
    values: Array,
    layout: Layout,
    floors: tuple[Array, Array],
    policy: Policy = DEFAULT,
    most: Counts | int | None = None,
) -> Ends:
    """Play every sequence [sequence, pair, combo] until the gate stops it.

    Args:
        most: pairs after which it is not proven, one number or one a sequence; None is
            `policy.max_pairs`. What `values` holds beyond them is not looked at.
    """
    count, _, combos = values.shape
    width = layout.ops + 1 if layout.ops > 1 else 1
    combo_floor = np.broadcast_to(floors[0], (count, combos))
    floor = np.broadcast_to(floors[1], (count, width))
    last = np.broadcast_to(policy.max_pairs if most is None else most, (count,))
    zeros = np.zeros(count, np.int64)
    bounds = np.full((2, count, width), np.nan)
    ends = Ends(zeros.copy(), zeros.copy(), zeros.copy(), np.zeros(count), *bounds)
    live = np.arange(count)
    for n in range(policy.min_pairs, int(last.max()) + 1):
        least = combo_floor[live], floor[live]
        outcome = _step(ends, live, values[live, :n], layout, least, policy)
        outcome[(outcome == CONTINUE) & (last[live] <= n)] = NOT_PROVEN
        ends.outcome[live] = outcome
        live = live[outcome == CONTINUE]
        if not live.size:
            break
    return ends


def _step(
    ends: Ends,
    live: Counts,
    seen: Array,
    layout: Layout,
    floors: tuple[Array, Array],
    policy: Policy,
) -> Counts:
    """What the gate says of `live` after the pairs `seen`; their numbers go to `ends`."""
    n = seen.shape[1]
    clipped = clip(seen, policy)
    half = stats.compute_any_stop_t(n, policy.mixture_variance, 1.0 - policy.stop_level) / np.sqrt(
        n
    )
    combo_mean, combo_sd = moments(clipped, floors[0])
    guarded = (-(combo_mean + half * combo_sd) > policy.screen_guard).any(axis=1)
    mean, sd = moments(components(clipped, layout), floors[1])
    t = (mean - policy.margin) / (sd / np.sqrt(n))
    e = e_values(t, n, policy.mixture_variance)
    above = np.where(t > 0, e, 0.0)
    proof = above.mean(axis=1)
    slower = (t < 0).all(axis=1) & (e[:, 0] >= policy.futility_threshold)
    outcome = np.full(live.size, CONTINUE)
    outcome[slower] = SLOWER
    outcome[proof >= policy.e_threshold] = KEEP
    outcome[guarded] = GUARD
    ends.pairs[live] = n
    ends.claim[live], ends.e[live] = above.argmax(axis=1), proof
    ends.low[live], ends.high[live] = mean - half * sd, mean + half * sd
    return outcome
