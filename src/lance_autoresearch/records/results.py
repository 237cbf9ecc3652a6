"""The results of a trial's stages, typed, from the check to the defences.

The gate and the confirmation fill them, the ledger's codec stores them, `text` prints them.
Gains are in %, positive is faster; times in ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lance_autoresearch.records.comparison import ComboId
from lance_autoresearch.records.rewriting import RewriteStep
from lance_autoresearch.records.totals import TotalsResult
from lance_autoresearch.records.verdict import Fault, Guard, Outcome, Reason, Verdict


@dataclass(frozen=True, slots=True)
class ComboRow:
    """One line of the verdict's table."""

    combo: ComboId
    champion_ns: float
    """Median time of one call on the champion's side."""
    candidate_ns: float
    """Median time of one call on the candidate's side."""
    gain: float
    low: float
    high: float
    guard: Guard
    """Whether this combo alone forbids a keep."""


@dataclass(frozen=True, slots=True)
class Component:
    """One claim the gate tests: all combos, or one op."""

    name: str
    """`all`, or the op's name."""
    gain: float
    low: float
    """Lower end of the interval valid at any stopping time."""
    high: float
    e: float
    """E-value against 'gain <= margin' (0 if the estimate lies below the margin)."""
    e_below: float
    """E-value against 'gain >= margin' (0 if the estimate lies above it)."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The gate's decision on a comparison; a pure function of it and the policy."""

    outcome: Outcome
    reason: Reason
    claim: str
    """The component with the largest e-value; the claim of a keep."""
    e: float
    """Mean e-value over the components, which is compared with the threshold."""
    threshold: float
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
class Estimate:
    """A gain with its fixed-n interval."""

    name: str
    gain: float
    low: float
    high: float
    n: int
    """Pairs."""


@dataclass(frozen=True, slots=True)
class ConfirmResult:
    """The confirmation's decision; a pure function of its comparisons and the policy."""

    verdict: Verdict
    """keep, revert or inconclusive."""
    reason: Reason
    claim: str
    components: tuple[Estimate, ...]
    """`all`, then each op if there are several; level `policy.confirm_level` each."""
    combos: tuple[ComboRow, ...]
    """Intervals hold for all combos together at `policy.guard_level`."""
    long_blocks: Estimate | None
    """The claim in the pairs with long blocks, None if they were not run."""
    pairs: int
    void: int

    @property
    def claimed(self) -> Estimate:
        """The component that `claim` names: what a keep records."""
        return next(c for c in self.components if c.name == self.claim)


@dataclass(frozen=True, slots=True)
class Claim:
    """The confirmed gains, %, by which the defences judge."""

    name: str
    """The component that is claimed."""
    gain: float
    combos: tuple[float, ...] = ()
    """Of each combo; empty: only the claim is judged."""

    @classmethod
    def make_from_confirmation(cls, result: ConfirmResult) -> Claim:
        """The gains of a confirmation's first look."""
        gains = tuple(row.gain for row in result.combos)
        return cls(result.claim, result.claimed.gain, gains)


@dataclass(frozen=True, slots=True)
class DefenceRow:
    """One combo before a defence."""

    combo: ComboId
    claimed: float
    """Its gain at confirmation."""
    seen: float
    """Distinct inputs: its gain there. Opponent: the champion's slowdown."""
    bound: float
    """The end of the interval of `seen` that decides; it holds for all combos together."""
    rejected: bool


@dataclass(frozen=True, slots=True)
class DistinctInputsResult:
    """The claim, and each combo, on inputs that no process meets twice."""

    gain: float
    """Of the claim, mean over the pairs."""
    high: float
    """Upper end of its interval."""
    claim_rejected: bool
    combos: tuple[DefenceRow, ...] = ()
    """Empty in rows written before combos were judged."""

    @property
    def rejected(self) -> bool:
        """The claim or a combo forbids the keep."""
        return self.claim_rejected or any(row.rejected for row in self.combos)


@dataclass(frozen=True, slots=True)
class OpponentResult:
    """How much slower the champion was behind the candidate than behind other code."""

    slowdown: float
    """Of the claim's component, mean over the pairs; positive is slower."""
    low: float
    """One-sided lower bound."""
    claim_rejected: bool
    combos: tuple[DefenceRow, ...] = ()
    """Empty in rows written before combos were judged."""

    @property
    def rejected(self) -> bool:
        """The claim or a combo forbids the keep."""
        return self.claim_rejected or any(row.rejected for row in self.combos)


@dataclass(frozen=True, slots=True)
class TierResult:
    """Candidate against champion at a lower CPU tier: the guard's view, nothing is claimed."""

    tier: str
    reason: Reason | None
    """Why this tier forbids the keep; None: it does not."""
    components: tuple[Estimate, ...]
    combos: tuple[ComboRow, ...]
    pairs: int
    void: int


@dataclass(frozen=True, slots=True)
class FloorFlag:
    """A combo that took less time than the least it can take."""

    combo: str
    candidate_ns: float
    floor_ns: float
    unmeasurable: int
    """Rounds that took no longer than an empty slice."""


@dataclass(frozen=True, slots=True)
class ScreeningFacts:
    """Facts about the screening beside the comparison; unknown ones stay None."""

    slices: int | None = None
    """Timed slices on both sides of the pairs that count."""
    seconds: float | None = None
    core: int | None = None
    """The core on which the workers ran."""
    aa: Estimate | None = None
    """The session's bias: champion against its own copy."""
    nulls: int = 0
    """Null trials of the session so far..."""
    nulls_kept: int = 0
    """...and how many the gate would have kept."""


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """The kernel as it was built."""

    digest: str
    """sha256 of linked code and constants."""
    cached: bool = False
    text_bytes: int | None = None
    """Machine code in the kernel's object."""
    program: str = ""
    """sha256 of its tokens without comments; empty: its code may depend on line numbers."""


@dataclass(frozen=True, slots=True)
class KindResult:
    """The trial of one candidate on one CPU kind, of several that were asked for."""

    kind: str
    job: str
    """Id of its job: what was judged twice is recorded once."""
    verdict: Verdict
    reason: Reason | None
    e: float
    """Mean e-value over the components, at the end of the screening."""
    gain: float | None = None
    """Over all combos, %; None: not measured."""
    low: float | None = None
    high: float | None = None
    slower: bool = False
    """The kernel is slower there, as a whole or on a combo."""


@dataclass(frozen=True, slots=True)
class Results:
    """All results of one trial's stages; None if a stage was not reached."""

    reason: Reason | None = None
    """Why the trial ended so, as data; None in rows written before reasons were typed."""
    checked: int = 0
    """Calls compared with Lance before any timing."""
    screening: GateResult | None = None
    screening_facts: ScreeningFacts | None = None
    confirmation: ConfirmResult | None = None
    distinct_inputs: DistinctInputsResult | None = None
    opponent: OpponentResult | None = None
    totals: TotalsResult | None = None
    lower_tiers: tuple[TierResult, ...] = ()
    kinds: tuple[KindResult, ...] = ()
    """Of a fleet, every CPU kind that judged it; the other fields are those of the deciding one."""
    fault: Fault | None = None
    code: CodeFacts | None = None
    predicted: float | None = None
    """Gain in % that the author expected."""
    made_from: str = ""
    """sha256 of the older champion that the candidate was made from; empty: from the one that it
    was judged against."""
    rewrites: tuple[RewriteStep, ...] = ()
    """The mechanical rewrites of the champion that made this kernel, if the agent was `rewrite`."""
    tier: str = "native"
    """CPU tier that was timed."""
    dose: tuple[float, ...] = ()
    """Calibration: the measured size of an injected delay, in each stage; a share."""
    margin: float = 0.5
    """The policy's margin, %."""
    level: float = 0.99
    """The policy's level of the confirmation's intervals."""

    @property
    def measured(self) -> GateResult | ConfirmResult | None:
        """The confirmation if there is one, else the screening if a pair counted."""
        if self.confirmation is not None:
            return self.confirmation
        return self.screening if self.screening is not None and self.screening.pairs else None


Phases = Mapping[str, float]
"""Seconds per phase."""
