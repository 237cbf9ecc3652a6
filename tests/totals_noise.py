"""Simulated times of distinct inputs: two ops, log-uniform calls, noise with a long tail.

    times = play(kernel, rng)       # the pairs that the judge would measure, as it would ask
A kernel is a function of (op, family, size, input) that says how many times as long it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from lance_autoresearch.records import InputClass, OpInputs, PairTimes, TotalsPair, TotalTimes
from lance_autoresearch.rules.policy import DEFAULT, TOTALS, Policy
from lance_autoresearch.rules.totals import plan_repeat

Kernel = Callable[[int, str, str, int], float]
FAMILIES = ("drawn a", "drawn b", "drawn c", "drawn d")
SIZES = tuple(f"n {10**e:,}" for e in range(2, 7))
TICKS = 2.4
NS = 30.0
"""Time of a call of 100 values."""


@dataclass(frozen=True, slots=True)
class Host:
    """Noise of a machine."""

    call: float = 0.05
    """SD of one call, natural logarithm."""
    process: float = 0.02
    """SD of a process's speed over one op."""
    struck: float = 0.005
    """Share of calls that an interrupt hits."""


QUIET, NOISY = Host(), Host(call=0.12, process=0.03, struck=0.04)


def same(_op: int, _family: str, _size: str, _input: int) -> float:
    """A kernel as fast as its champion."""
    return 1.0


def draw_inputs(rng: Generator, ops: int = 2) -> tuple[OpInputs, ...]:
    """Classes of 1,001 inputs of each op."""
    return tuple(
        OpInputs(
            f"op{o}",
            tuple(
                InputClass(FAMILIES[f], SIZES[s])
                for f, s in zip(
                    rng.integers(0, len(FAMILIES), TOTALS.inputs + 1),
                    rng.integers(0, len(SIZES), TOTALS.inputs + 1), strict=True,
                )
            ),
        )
        for o in range(ops)
    )  # fmt: skip


def play(
    kernel: Kernel, rng: Generator, host: Host = QUIET, policy: Policy = DEFAULT
) -> TotalTimes:
    """Pairs until the rule asks for no more."""
    times = TotalTimes(draw_inputs(rng), (), TICKS)
    base = [
        np.array([NS * 10 ** SIZES.index(one.size) for one in own.inputs])
        * rng.uniform(1.0, 10.0, len(own.inputs))
        for own in times.ops
    ]
    picks = tuple(tuple(range(1, len(own.inputs))) for own in times.ops)
    while picks is not None:
        pair = draw_pair(kernel, times, base, picks, rng, host)
        times = replace(times, pairs=(*times.pairs, pair))
        picks = plan_repeat(times, policy)
    return times


def draw_pair(
    kernel: Kernel, times: TotalTimes, base: list[np.ndarray], picks: tuple[tuple[int, ...], ...],
    rng: Generator, host: Host,
) -> TotalsPair:  # fmt: skip
    """One pair over these inputs."""
    sides: tuple[list[tuple[int, ...]], list[tuple[int, ...]]] = ([], [])
    for o, own in enumerate(picks):
        for side, ticks in enumerate(sides):
            pace = np.exp(rng.normal(0.0, host.process))
            ns = base[o][list(own)] * pace * np.exp(rng.normal(0.0, host.call, len(own)))
            if side:
                classes = (times.ops[o].inputs[i] for i in own)
                ns *= [kernel(o, c.family, c.size, i) for i, c in zip(own, classes, strict=True)]
            struck = rng.random(len(own)) < host.struck
            ns = ns + struck * rng.uniform(2_000, 300_000, len(own))
            ticks.append(tuple(int(v) + 500 for v in ns * TICKS))
    return TotalsPair(
        picks, PairTimes((1,) * len(picks), tuple(sides[0]), tuple(sides[1]), (480, 480))
    )
