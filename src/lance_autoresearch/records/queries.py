"""What whole queries in a patched Lance say about a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a kernel does to a query class."""

    FASTER = "faster"
    SLOWER = "slower"
    NO_CHANGE = "no change"
    """The interval holds 0 and is narrow enough to say so."""
    NOT_RESOLVED = "not resolved"
    """The interval holds 0 and much else: the machine was too noisy for the pairs allowed."""
    DIFFERS = "answers differ"
    FAILED = "failed"
    """The process with the kernel ended, or did not answer."""
    NOT_REACHED = "not reached"
    """No call of the kernel was seen: there is no figure."""
    NOT_BELIEVED = "not believed"
    """Lance's own code by the same route is not as fast as in its place."""

    @property
    def is_decided(self) -> bool:
        """More pairs would not help."""
        return self is not Effect.NOT_RESOLVED


@dataclass(frozen=True, slots=True)
class ClassEffect:
    """One query class, B against A; gains in %, positive is faster."""

    name: str
    effect: Effect
    gain: float
    low: float
    high: float
    """Ends of the interval that holds for all classes together, at whatever pair one stops."""
    baseline_ns: float
    """One query of A."""
    candidate_ns: float
    """One query of B."""
    pairs: int

    @property
    def resolution(self) -> float:
        """Any change larger than this would have been seen, %."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True, slots=True)
class KernelCalls:
    """Calls of one op while queries ran."""

    op: str
    calls: int
    units: int
    """Sum of the first dimension: rows, codes, bytes."""
    share: float
    """Of the time of the queries, 0 to 1."""
    ns_per_call: float
    dims: tuple[str, str]
    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    """Histogram of each dimension: calls of size 0, 1, 2-3, 4-7, and so on."""
