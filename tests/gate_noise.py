"""Noise models of one pair's values, as measured and worse; all centred on the true gain.

Each draws [sequence, pair, combo] of ln(champion/candidate). `sd` is the SD of a combo for the
bulk, natural log ratio. One process in 200 is off by up to 6 times: measured on Zen 4.
The first line of a model's text is its row in docs/results/simulation.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]
Shape = tuple[int, int, int]
Noise = Callable[[Generator, Shape, float], Array]
MACHINES = {"quiet": 0.010, "noisy": 0.025}
"""SD of one combo's value in a pair, natural log ratio.

Noisy: the Xeon, 2.3 to 3.1 % (docs/results/noise.md). Quiet: Zen 4, where component `all` has
an SD of 0.4 to 0.9 % and one combo of about 1 to 2 %.
"""


def normal(rng: Generator, shape: Shape, sd: float) -> Array:
    """Independent normal noise."""
    return rng.normal(0.0, sd, shape)


def shared(rng: Generator, shape: Shape, sd: float) -> Array:
    """Half of the variance is common to all combos of a pair (a process is a process)."""
    common = rng.normal(0.0, sd, (*shape[:2], 1))
    return np.sqrt(0.5) * (common + rng.normal(0.0, sd, shape))


def heavy(rng: Generator, shape: Shape, sd: float) -> Array:
    """Student t with 3 degrees of freedom, common scale per pair and combo."""
    return np.asarray(rng.standard_t(3, shape) * sd)


def outliers(rng: Generator, shape: Shape, sd: float) -> Array:
    """One process in 200 is off by up to 6 times for life, in one combo, on either side."""
    noise = shared(rng, shape, sd)
    for sign in (1.0, -1.0):
        struck = rng.random(shape[:2]) < 1 / 200
        size = np.log(rng.uniform(1.0, 6.0, shape[:2])) * struck * sign
        combo = rng.integers(0, shape[2], shape[:2])
        noise += size[:, :, None] * (np.arange(shape[2]) == combo[:, :, None])
    return noise


def bursts(rng: Generator, shape: Shape, sd: float) -> Array:
    """A neighbour comes and goes: pairs are quiet or four times as noisy, in runs of about six."""
    loud = np.zeros(shape[:2], bool)
    loud[:, 0] = rng.random(shape[0]) < 0.5
    for p in range(1, shape[1]):
        loud[:, p] = loud[:, p - 1] ^ (rng.random(shape[0]) < 1 / 6)
    return shared(rng, shape, sd) * np.where(loud, 4.0, 1.0)[:, :, None]


def drift(rng: Generator, shape: Shape, sd: float) -> Array:
    """A slow wave of 1/2 sd through the pairs that favours one side, then the other.

    One wave in as many pairs as are drawn. It is worse than a machine that slows down and
    recovers: that meets both sides, whose slices alternate every 50 µs.
    """
    phase = rng.uniform(0, 2 * np.pi, (shape[0], 1, 1))
    wave = np.sin(phase + 2 * np.pi * np.arange(shape[1])[None, :, None] / shape[1])
    return shared(rng, shape, sd) + 0.5 * sd * wave


def tail(rng: Generator, shape: Shape, sd: float) -> Array:
    """A long tail upwards (log-normal, skewness about 1), with mean 0 and an SD of about `sd`."""
    return np.asarray((rng.lognormal(0.0, 0.3, shape) - np.exp(0.045)) * (sd / 0.32))


def skewed_slow(rng: Generator, shape: Shape, sd: float) -> Array:
    """A long tail (log-normal, skewness about 1) on the side where the candidate is slow."""
    return -tail(rng, shape, sd)


def skewed_fast(rng: Generator, shape: Shape, sd: float) -> Array:
    """A long tail (log-normal, skewness about 1) on the side where the candidate is fast."""
    return tail(rng, shape, sd)


def two_states(rng: Generator, shape: Shape, sd: float) -> Array:
    """Each process runs in one of two states 5 sd apart (placement), so a pair in one of three."""
    champion, candidate = (rng.random(shape) < 0.5 for _ in range(2))
    return 5 * sd * (champion * 1.0 - candidate) + rng.normal(0.0, 0.25 * sd, shape)


def two_sided(rng: Generator, shape: Shape, sd: float) -> Array:
    """The candidate alone has two equally likely states, 5 sd apart around the champion's.

    The session's A/A, of the champion, does not show them (`of_champion`).
    """
    state = rng.random(shape) < 0.5
    return 2.5 * sd * np.where(state, 1.0, -1.0) + rng.normal(0.0, 0.25 * sd, shape)


def rarely_slow(rng: Generator, shape: Shape, sd: float) -> Array:
    """The candidate is 21 sd slower in 15 % of its processes and 3.75 sd faster in the others.

    Nor does the A/A show these.
    """
    slow = rng.random(shape) < 0.15
    return 25 * sd * (0.15 - slow) + rng.normal(0.0, 0.25 * sd, shape)


def steady(rng: Generator, shape: Shape, sd: float) -> Array:
    """Normal noise of a quarter of sd: what is left of the last two without their states."""
    return rng.normal(0.0, 0.25 * sd, shape)


NOISES: dict[str, Noise] = {
    f.__name__: f
    for f in (
        normal,
        shared,
        heavy,
        outliers,
        bursts,
        drift,
        skewed_slow,
        skewed_fast,
        two_states,
    )
}
ALONE: dict[str, Noise] = {f.__name__: f for f in (two_sided, rarely_slow)}
"""States that the candidate alone has."""


def of_champion(noise: Noise) -> Noise:
    """What the session's A/A shows, the champion against its copy: no states of the candidate."""
    return steady if noise in ALONE.values() else noise
