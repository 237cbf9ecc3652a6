"""Where pairs come from: one protocol, so that the gate does not care who measured.

    meter = ConductorMeter(bench, [Sides(champion, candidate)], pools, PairPlan(...))
    pair = meter.measure_pair()
    comparison = meter.gather([pair, ...], floor=session.aa_sd)

A `Meter` is bound to its two sides and their inputs. The conductor is one; a patched Lance that
answers whole queries is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lance_autoresearch.bench import tiers
from lance_autoresearch.bench.inputs import draw_seed
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.errors import MachineError
from lance_autoresearch.records import (
    ComboId,
    Comparison,
    Fault,
    PairTimes,
    Void,
    VoidCause,
)

if TYPE_CHECKING:
    from lance_autoresearch.bench.bench import Bench


class KernelAtFault(Exception):
    """The candidate was at fault while a pair was measured."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.kind))
        self.fault = fault


class Meter(Protocol):
    """A source of pairs of one champion and one candidate."""

    @property
    def combos(self) -> tuple[ComboId, ...]:
        """What each pair times, in the order of its inner tuples."""

    @property
    def ticks_per_ns(self) -> float:
        """Rate of its clock."""

    def measure_pair(self) -> PairTimes:
        """One pair, the candidate's outputs compared.

        Raises:
            KernelAtFault: the candidate was wrong or accessed what it may not access.
            MachineError: the champion failed, or the meter itself.
        """


def gather_pairs(
    meter: Meter, pairs: Sequence[PairTimes], floor: Sequence[float] = ()
) -> Comparison:
    """Pairs in the gate's form, with a session's noise as the floor of every spread."""
    return Comparison(meter.combos, tuple(pairs), meter.ticks_per_ns, tuple(floor))


def measure_pairs(meter: Meter, count: int, floor: Sequence[float] = ()) -> Comparison:
    """Measure this number of pairs. Raises as `Meter.measure_pair`."""
    return gather_pairs(meter, [meter.measure_pair() for _ in range(count)], floor)


@dataclass(frozen=True, slots=True)
class Sides:
    """Libraries of one pair."""

    champion: Path
    candidate: Path
    opponent: Path | None = None
    """Both times are the champion's: behind this library, and behind the candidate."""


@dataclass(frozen=True, slots=True)
class PairPlan:
    """How one pair is run."""

    rounds: int
    slice_us: float
    block_ms: int | None = None
    """Length of a block of one side's slices; None: one slice."""
    calls: tuple[int, ...] | None = None
    """Calls per slice, one number a pool, in place of calibrated ones."""
    tier: str = "native"
    orders: tuple[tuple[int, ...], ...] | None = None
    """The calls of each pool in the order in which they are played; None: a random order."""
    drawn: bool = False
    """Where each argument and output begins in a line of 64 bytes is drawn; else each lies at its
    declared phase."""


class ConductorMeter:
    """Pairs of fresh processes over pools, by the measuring program."""

    def __init__(
        self, bench: Bench, sides: Sequence[Sides], pools: Sequence[Pool], plan: PairPlan
    ) -> None:
        """Args:
            sides: taken in turn, one a pair; the first again after the last.
        """
        self._bench, self._sides = bench, tuple(sides)
        self._pools, self._plan = tuple(pools), plan
        self._next = 0
        self.combos = bench.combos

    @property
    def ticks_per_ns(self) -> float:
        """Rate of the conductor's clock."""
        return self._bench.opened.ticks_per_ns

    def measure_pair(self) -> PairTimes:
        """See `Meter.measure_pair`; waits for a quiet core after a pair that others disturbed."""
        sides = self._sides[self._next % len(self._sides)]
        self._next += 1
        bench, plan = self._bench, self._plan
        pair = bench.ask_in_time(
            lambda: bench.conductor.measure_pair(
                sides.champion, sides.candidate, [(p.path, p.expected) for p in self._pools],
                seed=draw_seed(), rounds=plan.rounds, slice_us=plan.slice_us, calls=plan.calls,
                block_ms=plan.block_ms, opponent=sides.opponent, orders=plan.orders,
                drawn=plan.drawn,
                features=tiers.find_feature_mask(plan.tier, bench.opened.features),
            )
        )  # fmt: skip
        if pair.fault is not None and pair.fault.side == "champion":
            raise MachineError(
                f"the champion itself failed while it was measured: {pair.fault.kind}, "
                f"{pair.fault.differs} of {pair.fault.total} values",
                where=pair.fault.combo,
                next=f"./lar validate {bench.target.name}",
            )
        if pair.void is not None and pair.void.cause is VoidCause.FOREIGN_WORK:
            bench.wait_for_quiet()
        if pair.fault is not None:
            raise KernelAtFault(pair.fault)
        return pair.times if pair.times is not None else self._make_void_pair(pair.void)

    def _make_void_pair(self, void: Void | None) -> PairTimes:
        """A pair that has no times at all."""
        none = tuple(() for _ in self.combos)
        void = void or Void(VoidCause.NEVER_BEGAN)
        return PairTimes(tuple(0 for _ in none), none, none, (0, 0), void)
