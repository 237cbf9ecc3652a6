"""Full draws from a target's declared space, as before a keep, and the fixed cases beside them.

    world = World.look(root, target, kernel, draws=2000, seed=7, make=None)
    world.drawn["scan8"]      the views of every drawn call of an op
    world.fixed["scan8"]      of every fixed case: timed at both sizes, and checked
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from red_calls import Surface, View, read_surface

from lance_autoresearch.bench.drawn import DrawKind, draw_cases
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
        rng = np.random.default_rng(seed)
        cases = draw_many(target, seed, draws)
        drawn, fixed = {}, {}
        for name, surface in surfaces.items():
            own = [case for case in cases if case.op == name]
            drawn[name] = list(look_at(target, surface, own, rng, make))
            fixed[name] = list(look_at(target, surface, list_fixed(target, name), rng, make))
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


def draw_many(target: Target, seed: int, count: int) -> list[Combo]:
    """At least this number of cases of every op, as full draws contain them."""
    each = min(Counter(case.op for case in draw_cases(target, seed, DrawKind.FULL)).values())
    draws = range(-(-count // each))
    return [case for i in draws for case in draw_cases(target, seed + i, DrawKind.FULL)]
