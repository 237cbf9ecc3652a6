"""Draws from a target's declared space, as the judge draws, and the fixed cases beside them.

    world = World.look(root, target, kernel, draws=2000, seed=7, make=None)
    world.drawn["scan8"]      the views of every drawn call of an op
    world.fixed["scan8"]      of every fixed case: timed at both sizes, and checked
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from red_calls import Surface, View, read_surface

from lance_autoresearch.targets.spec import Combo, Maker, Target

Views = Sequence[View]
"""The views of one call."""


@dataclass(frozen=True, slots=True)
class World:
    """What the judge may show to a kernel of a target, sampled."""

    target: Target
    surfaces: Mapping[str, Surface]
    drawn: Mapping[str, Sequence[Views]]
    fixed: Mapping[str, Sequence[Views]]

    @classmethod
    def look(
        cls, root: Path, target: Target, kernel: bytes, *, draws: int, seed: int,
        make: Maker | None,
    ) -> World:  # fmt: skip
        """Draw calls of every op.

        Args:
            kernel: any kernel of the target; its surface is read.
            draws: drawn calls of each op.
        """
        surfaces = {op.name: read_surface(kernel, root, target.name, op.name) for op in target.ops}
        drawn, fixed = {}, {}
        for i, op in enumerate(target.ops):
            rng = np.random.default_rng([seed, i])
            combos = draw_cases(target, op.name, rng, draws)
            surface = surfaces[op.name]
            drawn[op.name] = list(look_at(target, surface, combos, rng, make))
            fixed[op.name] = list(look_at(target, surface, list_fixed(target, op.name), rng, make))
        return cls(target, surfaces, drawn, fixed)


def look_at(
    target: Target, surface: Surface, combos: Iterable[Combo], rng: np.random.Generator,
    make: Maker | None,
) -> Iterable[Views]:  # fmt: skip
    """The views of every call of some cases; the data itself is not kept."""
    for combo in combos:
        for call in target.inputs(combo.op, combo.shape, combo.dist, rng, combo.calls, make):
            yield surface.look(call)


def list_fixed(target: Target, op: str) -> list[Combo]:
    """The fixed cases of an op, one call of each: their sizes do not change from call to call."""
    cases = [c for c in (*target.timed, *target.checks) if c.op == op]
    shapes = [(c, s) for c in cases for s in (c.shape, c.confirm) if s is not None]
    return [Combo(op, shape, c.dist, 1) for c, shape in shapes]


def draw_cases(target: Target, op: str, rng: np.random.Generator, count: int) -> list[Combo]:
    """Cases of one call each: sizes log-uniform between the least and the largest known ones."""
    known = list_fixed(target, op)
    made = []
    for _ in range(count):
        like = known[rng.integers(len(known))]
        shape = {dim: _draw_size(known, dim, rng) for dim in like.shape}
        made.append(Combo(op, shape, like.dist, 1))
    return made


def _draw_size(known: Sequence[Combo], dim: str, rng: np.random.Generator) -> int:
    sizes = [min(c.shape[dim], 1 << 17) for c in known if dim in c.shape]
    low, high = max(1, min(sizes)), max(sizes)
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))
