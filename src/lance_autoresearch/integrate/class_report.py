"""What is known of each query class with a candidate, as data, and what follows from it.

    ClassReport(effect, lance, candidate, predicted, controls)      one class
    IntegrationReport(classes, comparison, ...)                     the answer of a measurement
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lance_autoresearch.integrate.controls import Control
from lance_autoresearch.records import ClassEffect, Comparison, Effect, KernelCalls
from lance_autoresearch.rules.policy import QUERIES
from lance_autoresearch.rules.queries import is_neutral, predict_gain


@dataclass(frozen=True, slots=True)
class ClassReport:
    """All that is known of one class."""

    effect: ClassEffect
    lance: tuple[KernelCalls, ...]
    """Calls of Lance's own code behind the hook."""
    candidate: tuple[KernelCalls, ...]
    """Calls of the candidate, by its own process."""
    predicted: float | None
    """Gain, %, that share and time per call would give; None without a call."""
    controls: tuple[Control, ...]

    @property
    def share(self) -> float:
        """Of the query's time that Lance's own code takes behind the hook."""
        return sum(one.share for one in self.lance)


@dataclass(frozen=True, slots=True)
class IntegrationReport:
    """The answer."""

    classes: tuple[ClassReport, ...]
    comparison: Comparison | None
    """Raw pairs; None if no class was measured."""
    program: str
    """sha256 of the end-to-end program."""
    peak_memory: tuple[int, int]
    """Bytes of the largest process: Lance, candidate."""
    compared: int
    """Queries whose answers were compared."""
    fault: str = ""
    """What the candidate did wrong, if it did."""


def weigh_controls(effect: ClassEffect, controls: tuple[Control, ...]) -> ClassEffect:
    """An effect stands only beside controls that were measured and are neutral."""
    if any(min(c.alike.pairs, c.routed.pairs) < QUERIES.min_pairs for c in controls):
        return replace(effect, effect=Effect.NOT_RESOLVED)
    if not all(is_neutral(c.routed, QUERIES) for c in controls):
        return replace(effect, effect=Effect.NOT_BELIEVED)
    return effect


def predict_class(
    lance: tuple[KernelCalls, ...], candidate: tuple[KernelCalls, ...]
) -> float | None:
    """Gain of the query, %, from the share of each op and its time per call on both sides."""
    mine = {one.op: one for one in candidate}
    saved = 0.0
    for one in lance:
        other = mine.get(one.op)
        if one.calls and other is not None and other.calls and one.ns_per_call > 0:
            per_unit = (other.ns_per_call * other.calls / other.units) if other.units else 0.0
            before = (one.ns_per_call * one.calls / one.units) if one.units else 0.0
            saved += one.share * (1.0 - per_unit / before) if before > 0 else 0.0
    if not any(one.calls for one in lance):
        return None
    return predict_gain(saved, 0.0) if saved < 1.0 else None


def make_effect(name: str, effect: Effect) -> ClassEffect:
    """An effect without a figure."""
    return ClassEffect(name, effect, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
