"""Plain data that passes between the rooms of the house. No behaviour beyond properties.

The flow of one trial: `PairTimes` (raw ticks from the conductor) are gathered into a
`Comparison`, the gate turns it into a `GateResult`, the trial ends in a `TrialRecord`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The five ends of a trial; the exit code of `lar try` is `exit_code`."""

    KEEP = "keep"
    REVERT = "revert"
    INCORRECT = "incorrect"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """0 keep, 1 revert, 2 incorrect, 3 rejected, 4 inconclusive."""
        return list(Verdict).index(self)


class Outcome(StrEnum):
    """What the gate says after the pairs seen so far. Not yet a verdict."""

    CONTINUE = "continue"
    KEEP_CANDIDATE = "keep-candidate"
    REVERT = "revert"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ComboId:
    """A timed combination: op x shape x distribution."""

    op: str
    """Name of the target's function, e.g. `scan8`."""
    name: str
    """Shape and distribution, e.g. `16x2048 clustered`; the same at confirmation."""
    weight: float = 1.0
    """Weight within its op (equal unless the target declares production weights)."""

    @property
    def label(self) -> str:
        """`scan8 16x2048 clustered`."""
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
    void: str | None = None
    """Outcome-blind reason why this pair does not count, or None."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that the gate may look at."""

    combos: tuple[ComboId, ...]
    """In the order of the inner tuples of every pair."""
    pairs: tuple[PairTimes, ...]
    """In the order they were run, void ones included."""
    ticks_per_ns: float
    """Conductor's clock rate; only for showing times, never for deciding."""
    aa_sd: tuple[float, ...] = ()
    """SD of one pair's value in the session's A/A: one per combo, then one per op (in order
    of first appearance), then that of all combos. Natural log ratio. Empty: no floor."""


@dataclass(frozen=True, slots=True)
class ComboRow:
    """One line of the verdict's table. Gains in %, positive is faster."""

    combo: ComboId
    champion_ns: float
    """Median time of one call on the champion's side, ns."""
    candidate_ns: float
    """Median time of one call on the candidate's side, ns."""
    gain: float
    low: float
    high: float
    guard: str
    """`ok`, or why this combo alone forbids a keep."""


@dataclass(frozen=True, slots=True)
class Component:
    """One claim the gate tests: all combos, or one op."""

    name: str
    """`all`, or the op's name."""
    gain: float
    """Point estimate, %."""
    low: float
    """Lower end of the interval valid at any stopping time, %."""
    high: float
    """Upper end, %."""
    e: float
    """E-value against 'gain <= margin' (0 where the estimate lies below the margin)."""
    e_below: float
    """E-value against 'gain >= margin' (0 where the estimate lies above it)."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The gate's word on a comparison; a pure function of it and the policy."""

    outcome: Outcome
    reason: str
    """Why, in words: `slower`, `not proven`, `guard: scan8 16x256 -4.1%`, ..."""
    claim: str
    """The component with the largest e-value; what a keep would claim."""
    e: float
    """Mean e-value over the components: what is compared with the threshold."""
    need: float
    """The threshold in force."""
    components: tuple[Component, ...]
    combos: tuple[ComboRow, ...]
    pairs: int
    """Pairs that counted."""
    void: int
    """Pairs that did not."""

    @property
    def claimed(self) -> Component:
        """The component that `claim` names."""
        return next(c for c in self.components if c.name == self.claim)


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a kernel went wrong, as the conductor saw it."""

    kind: str
    """mismatch, poison, slack, late_write, panic, signal, timeout, sandbox, memory, arm."""
    combo: str = ""
    call: int = 0
    part: int = 0
    offset: int = 0
    """Byte offset of the first difference within the part."""
    differs: int = 0
    """How many elements differ."""
    total: int = 0
    """Out of how many."""
    got: bytes = b""
    want: bytes = b""
    note: str | None = None
    """Text from the kernel's process: untrusted, bounded, stripped of control characters."""
    signal: int | None = None
    syscall: str | None = None
    side: str = "candidate"


INSIDE = frozenset({"python_cpu", "lock", "waited"})
"""Entries of `phases` that are part of another one: CPU of this process, waiting for the
machine's lock, waiting for a quiet core."""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One row of the ledger. `numbers` and the digests are JSON-able."""

    target: str
    verdict: Verdict
    reason: str
    """One line: the first thing to read."""
    kernel: str
    """sha256 of the bytes of kernels.rs."""
    champion: str
    """sha256 of the champion's kernels.rs bytes it was compared with."""
    hypothesis: str = ""
    campaign: str | None = None
    parent: int | None = None
    """Id of the trial whose kernel was the champion, None for upstream."""
    agent: str = "hand"
    kind: str = "trial"
    """trial, aa, padding, identity, delay, replay, ..."""
    gain: float | None = None
    """Confirmed gain in % where there is one, else the screening estimate."""
    low: float | None = None
    high: float | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    """Gate and confirmation results as shown, per-combo ratios, fault."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds per phase."""
    immutable: dict[str, str] = field(default_factory=dict)
    """Digests of everything the kernel could not touch: upstream, target, contract, flags..."""
    machine: dict[str, str] = field(default_factory=dict)
    toolchain: str = ""
    epoch: str = ""
    burnt_seeds: tuple[int, ...] = ()
    tokens: int | None = None
    cost_usd: float | None = None
    pairs_blob: str | None = None
    """sha256 of the raw pairs in the blob table."""

    @property
    def seconds(self) -> float:
        """Wall time of the whole trial: its phases, without what lies inside another."""
        return sum(value for name, value in self.phases.items() if name not in INSIDE)
