"""Plain data that passes between the rooms. No behaviour beyond properties.

The flow of one trial: `PairTimes` (raw ticks from the conductor) are gathered into a
`Comparison`, the gate turns it into a `GateResult`, the trial ends in a `TrialRecord`.
"""

from lance_autoresearch.records.comparison import (
    ComboId,
    Comparison,
    PairTimes,
    TrialPairs,
    Void,
    VoidCause,
)
from lance_autoresearch.records.kind import TrialKind
from lance_autoresearch.records.queries import ClassEffect, Effect, KernelCalls
from lance_autoresearch.records.results import (
    Claim,
    CodeFacts,
    ComboRow,
    Component,
    ConfirmResult,
    DefenceRow,
    DistinctInputsResult,
    Estimate,
    FloorFlag,
    GateResult,
    KindResult,
    OpponentResult,
    Results,
    ScreeningFacts,
    TierResult,
)
from lance_autoresearch.records.rewriting import RewriteKind, RewriteStep
from lance_autoresearch.records.session import EpochFacts, NoiseSession
from lance_autoresearch.records.totals import (
    InputClass,
    OpInputs,
    SlowInputs,
    TotalsPair,
    TotalsResult,
    TotalsRow,
    TotalTimes,
)
from lance_autoresearch.records.trial import INSIDE, TrialRecord
from lance_autoresearch.records.verdict import (
    Fault,
    FaultKind,
    Guard,
    Outcome,
    Reason,
    ReasonKind,
    Verdict,
)

__all__ = [
    "INSIDE", "Claim", "ClassEffect", "CodeFacts", "ComboId", "ComboRow", "Comparison",
    "Component", "ConfirmResult", "DefenceRow", "DistinctInputsResult", "Effect", "EpochFacts",
    "Estimate", "Fault", "FaultKind", "FloorFlag", "GateResult", "Guard", "InputClass",
    "KernelCalls", "KindResult", "NoiseSession", "OpInputs", "OpponentResult", "Outcome",
    "PairTimes", "Reason", "ReasonKind", "Results", "RewriteKind", "RewriteStep",
    "ScreeningFacts", "SlowInputs", "TierResult", "TotalTimes", "TotalsPair", "TotalsResult",
    "TotalsRow", "TrialKind", "TrialPairs", "TrialRecord", "Verdict", "Void", "VoidCause",
]  # fmt: skip
