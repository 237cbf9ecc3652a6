"""Raw measurements: one process pair, and all pairs that a decision may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lance_autoresearch.records.totals import TotalTimes


class VoidCause(StrEnum):
    """Why a pair does not count. Every cause is blind to which side was faster."""

    CLOCK_JUMPED = "clock-jumped"
    MACHINE_SLEPT = "machine-slept"
    FOREIGN_WORK = "foreign-work"
    """Other processes used more than half of the measuring core."""
    CHAMPION_SLOW_TO_ARM = "champion-slow-to-arm"
    CANDIDATE_SLOW_TO_ARM = "candidate-slow-to-arm"
    """The side took too long between *arm* and *ready*."""
    KEPT_FROM_CORE = "kept-from-core"
    """A worker was ready to run and did not get its core."""
    NOT_WOKEN = "not-woken"
    """A worker did not wake up for its slice."""
    ENDED_FROM_OUTSIDE = "ended-from-outside"
    """A worker was ended by a signal that no kernel can send."""
    NEVER_BEGAN = "never-began"
    OTHER = "other"
    """A cause that only an older record names."""


@dataclass(frozen=True, slots=True)
class Void:
    """A pair that does not count, and why."""

    cause: VoidCause
    detail: str = ""
    """The measuring program's own sentence, for people."""


@dataclass(frozen=True, slots=True)
class ComboId:
    """A timed combination: op x shape x distribution."""

    op: str
    """Name of the target's function, e.g. `hamming`."""
    name: str
    """Shape and distribution, e.g. `16x2048 clustered`; the same at confirmation."""
    weight: float = 1.0
    """Weight within its op (equal unless the target declares production weights)."""

    @property
    def label(self) -> str:
        """`hamming 1024 random`."""
        return f"{self.op} {self.name}"


@dataclass(frozen=True, slots=True)
class PairTimes:
    """One process pair: champion and candidate, alternated slice by slice.

    `champion[c][r]` is the time in ticks from *go* to *done* of combo c in round r, the
    empty slice not yet subtracted. Both sides ran `calls[c]` calls in every slice of c.
    """

    calls: tuple[int, ...]
    """Calls per slice, one per combo; equal on both sides."""
    champion: tuple[tuple[int, ...], ...]
    """Ticks, [combo][round]."""
    candidate: tuple[tuple[int, ...], ...]
    """Ticks, [combo][round]."""
    empty: tuple[int, int]
    """Ticks of an empty slice: champion's process, candidate's process."""
    void: Void | None = None
    """Why this pair does not count, or None."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All data that the gate may use."""

    combos: tuple[ComboId, ...]
    """In the order of the inner tuples of every pair."""
    pairs: tuple[PairTimes, ...]
    """In the order they were run, void ones included."""
    ticks_per_ns: float
    """Conductor's clock rate; only to show times, never to decide."""
    aa_sd: tuple[float, ...] = ()
    """SD of one pair's value in the session's A/A: one per combo, then one per op (in order
    of first appearance), then that of all combos. Natural log ratio. Empty: no floor."""


@dataclass(frozen=True, slots=True)
class TrialPairs:
    """The raw pairs of all stages of one trial: all that judging it again needs."""

    screening: Comparison
    confirmation: Comparison | None = None
    long_blocks: Comparison | None = None
    distinct_inputs: Comparison | None = None
    """Pairs in which no process met an input twice."""
    opponent: Comparison | None = None
    """The champion behind another layout of itself, and behind the candidate."""
    lower_tiers: Mapping[str, Comparison] = field(default_factory=dict)
    """Confirmation at each lower CPU tier that was timed."""
    totals: TotalTimes | None = None
    """Distinct inputs, timed once each on both sides."""
    before: int = 0
    """How many pairs of the screening are those of an earlier trial that this one continued."""
    judged_claim: float | None = None
    """Gain of the claim, %, by which the defences judged; None: that of the confirmation."""
