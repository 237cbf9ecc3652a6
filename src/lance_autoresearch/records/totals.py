"""A thousand distinct inputs, timed once each on both sides; the slow ones again in other pairs."""

from __future__ import annotations

from dataclasses import dataclass

from lance_autoresearch.records.comparison import PairTimes


@dataclass(frozen=True, slots=True)
class InputClass:
    """What a reader may know of one secret input."""

    family: str
    """Its distribution."""
    size: str
    """Its size class, in words."""


@dataclass(frozen=True, slots=True)
class OpInputs:
    """The inputs of one op, in the order of its pool."""

    op: str
    inputs: tuple[InputClass, ...]


@dataclass(frozen=True, slots=True)
class TotalsPair:
    """One process pair over some of the inputs, one call a slice, no input twice.

    `times.champion[o][r]` is the time of input `picks[o][r]` of op o. An op of which no input was
    asked for has none.
    """

    picks: tuple[tuple[int, ...], ...]
    times: PairTimes


@dataclass(frozen=True, slots=True)
class TotalTimes:
    """All pairs over the distinct inputs. The first that is not void has all of them; each later
    one those that were still suspected."""

    ops: tuple[OpInputs, ...]
    pairs: tuple[TotalsPair, ...]
    ticks_per_ns: float


@dataclass(frozen=True, slots=True)
class TotalsRow:
    """One op over all its inputs, in the first pair."""

    op: str
    inputs: int
    gain: float
    """Of the total time, %."""
    low: float
    high: float
    """Its interval over the inputs; it holds for all groups together."""


@dataclass(frozen=True, slots=True)
class SlowInputs:
    """Inputs, alone or as a group, on which the candidate was slow in every pair."""

    op: str
    family: str
    """Empty: any."""
    size: str
    """Empty: any."""
    inputs: int
    """How many."""
    gain: float
    """Of their total time, %, in the last pair."""


@dataclass(frozen=True, slots=True)
class TotalsResult:
    """The decision on the distinct inputs."""

    ops: tuple[TotalsRow, ...]
    suspected: int
    """Inputs and groups that looked slow in the first pair."""
    repeats: int
    """Other pairs that count."""
    wanted: int
    """Other pairs that were needed to tell noise from the kernel."""
    slow: tuple[SlowInputs, ...]
    """What was slow in all of them, single inputs first: any forbids the keep."""

    @property
    def rejected(self) -> bool:
        """The kernel is slow on some inputs."""
        return bool(self.slow)
