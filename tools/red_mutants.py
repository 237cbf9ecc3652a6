"""Draws kernels that are wrong or slow on a region of a wanted size.

    mutants = Generator(world, honest, seed=7)
    one = mutants.draw(3, Bin.LARGE, Harm.WRONG)
    one.region.name, one.effect.name, one.measure, one.text

The same seed, number, bin and harm give the same kernel, whatever was drawn before it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from red_calls import Surface
from red_kernels import Effect, list_slow, list_wrong, write_kernel
from red_kinds import Bin, Harm, Kind, Nature
from red_regions import (
    Condition,
    Quantity,
    Region,
    list_data,
    list_lines,
    list_sizes,
    list_states,
)
from red_space import Views, World

ATTEMPTS = 60
"""Regions of one kind that are drawn for one kernel before another kind is tried."""


WEIGHTS = {Kind.INTERVAL: 30, Kind.PRODUCT: 20, Kind.RESIDUE: 15, Kind.DATA: 12, Kind.MIXED: 10,
           Kind.PLACE: 8, Kind.STATE: 5}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """A kernel that must not be kept."""

    number: int
    op: str
    kind: Kind
    region: Region
    effect: Effect
    measure: float
    """Its region's share of the op's drawn calls."""
    text: bytes


class Generator:
    """Draws kernels of one target."""

    def __init__(self, world: World, honest: Mapping[Harm, bytes], seed: int) -> None:
        """Args:
            honest: the kernel that is spoiled, by harm.
        """
        self.world, self.honest, self.seed = world, honest, seed

    def draw(self, number: int, size: Bin, harm: Harm) -> Mutant | None:
        """One kernel; None if no region of the size was found.

        The region of a kernel that is wrong holds no fixed case, so far as sizes tell it.
        """
        rng = random.Random(f"{self.seed} {self.world.target.name} {number} {size} {harm}")
        for kind in _shuffle_kinds(rng):
            for _ in range(ATTEMPTS):
                op = rng.choice([o.name for o in self.world.target.ops])
                surface, calls = self.world.surfaces[op], self.world.drawn[op]
                region = draw_region(rng, kind, surface, calls, _draw_share(rng, size))
                if region is None or not size.holds(measure := region.measure(calls)):
                    continue
                if harm is Harm.SLOW or not self._holds_fixed(op, region):
                    effect = self._draw_effect(rng, surface, harm)
                    text = write_kernel(
                        self.honest[harm], self.world.target, surface, region, effect
                    )
                    return Mutant(number, op, kind, region, effect, measure, text)
        return None

    def _draw_effect(self, rng: random.Random, surface: Surface, harm: Harm) -> Effect:
        made = list_wrong if harm is Harm.WRONG else list_slow
        return rng.choice(list(made(surface)))

    def _holds_fixed(self, op: str, region: Region) -> bool:
        """Whether a fixed case is certain to refuse it: sizes alone put the case inside."""
        return region.natures == {Nature.SIZE} and any(map(region.contains, self.world.fixed[op]))


def _shuffle_kinds(rng: random.Random) -> list[Kind]:
    """All kinds in random order, the heavy ones earlier as a rule."""
    return sorted(WEIGHTS, key=lambda kind: rng.expovariate(WEIGHTS[kind]))


def _draw_share(rng: random.Random, size: Bin) -> float:
    """Log-uniform in the bin."""
    low, high = size.limits
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def draw_region(
    rng: random.Random, kind: Kind, surface: Surface, calls: Sequence[Views], share: float
) -> Region | None:
    """A region of about this share; None if the drawn quantity has none."""
    sizes, states = list(list_sizes(surface)), list(list_states(round(1 / share)))

    def one(quantities: Sequence[Quantity], part: float) -> Condition | None:
        return draw_interval(rng, rng.choice(quantities), calls, part)

    makers: Mapping[Kind, Callable[[], Sequence[Condition | None]]] = {
        Kind.INTERVAL: lambda: [one(sizes, share)],
        Kind.PRODUCT: lambda: [one(sizes, share**0.5), one(sizes, share**0.5)],
        Kind.RESIDUE: lambda: [draw_residue(rng, rng.choice(sizes), share)],
        Kind.DATA: lambda: [one(list(list_data(surface)), share)],
        Kind.MIXED: lambda: [one(sizes, share**0.5), one(list(list_data(surface)), share**0.5)],
        Kind.PLACE: lambda: [draw_class(rng, rng.choice(list(list_lines(surface))), share)],
        Kind.STATE: lambda: [draw_class(rng, rng.choice(states), share)],
    }
    found = makers[kind]()
    whole = tuple(c for c in found if c is not None)
    return Region(whole) if len(whole) == len(found) else None


def draw_interval(
    rng: random.Random, quantity: Quantity, calls: Sequence[Views], share: float
) -> Condition | None:
    """An interval between two of the drawn values; None if one value holds most of them."""
    read = quantity.read
    assert read is not None
    values = sorted(read(view) for views in calls for view in views)
    count = max(1, round(share * len(values)))
    start = rng.randrange(len(values) - count)
    low, high = values[start], values[start + count]
    return Condition(quantity, low, high) if low < high else None


def draw_residue(rng: random.Random, quantity: Quantity, share: float) -> Condition:
    """One residue class."""
    modulus = max(2, round(1 / share))
    rest = rng.randrange(modulus)
    return Condition(quantity, rest, rest + 1, modulus)


def draw_class(rng: random.Random, quantity: Quantity, share: float) -> Condition | None:
    """Some of the equally likely classes of a place or a state; None if one is too many."""
    count = round(share * quantity.classes)
    if not count:
        return None
    low = rng.randrange(quantity.classes - count + 1)
    return Condition(quantity, low, low + count)
