"""How a trial can end, and why, as data. Sentences are made in `text`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

PLACE = re.compile(r"\bkernels\.rs:\d{1,6}(?::\d{1,4})?")
"""A place in the kernel, as panics and compilers name it."""


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
    """The gate's decision after the pairs so far. Not yet a verdict."""

    CONTINUE = "continue"
    KEEP_CANDIDATE = "keep-candidate"
    REVERT = "revert"
    INCONCLUSIVE = "inconclusive"


class ReasonKind(StrEnum):
    """Why a stage or a trial ended as it did."""

    # the gate
    TOO_FEW_PAIRS = "too-few-pairs"
    UNDECIDED = "undecided"
    PROVEN = "proven"
    SLOWER = "slower"
    NO_GAIN = "no-gain"
    """Not significantly slower, but no gain above the margin."""
    NOT_PROVEN = "not-proven"
    COMBO_SLOWER = "combo-slower"
    """The guard: the interval of one combo lies below its limit."""
    VOID_PAIRS = "void-pairs"
    # confirmation
    CONFIRMED = "confirmed"
    CLAIM_TOO_SMALL = "claim-too-small"
    SLOW_PROCESSES = "slow-processes"
    """The claim does not hold with processes counted in full in which the candidate was slow."""
    OTHER_OP_SLOWER = "other-op-slower"
    """The interval of an op beside the claim lies below zero."""
    OTHER_OP_MAY_BE_SLOWER = "other-op-may-be-slower"
    COMBO_MAY_BE_SLOWER = "combo-may-be-slower"
    """The guard: the interval of one combo reaches the limit above which nothing is kept."""
    LONG_BLOCKS = "long-blocks"
    """The gain is much smaller in long blocks of one side."""
    FEW_VALID_PAIRS = "few-valid-pairs"
    TIER_SLOWER = "tier-slower"
    """A combo or op is slower at a lower CPU tier."""
    TIER_MAY_BE_SLOWER = "tier-may-be-slower"
    # the defences
    REPEATED_INPUTS = "repeated-inputs"
    """The gain exists only on inputs that the process has met before."""
    SLOWED_OPPONENT = "slowed-opponent"
    SLOW_INPUTS = "slow-inputs"
    """Slow on some of a thousand distinct inputs, again and again: `about` names op, family and
    size class."""
    TOTAL_SLOWER = "total-slower"
    """The total time of an op, a family or a size class is longer."""
    TOO_FAST = "too-fast"
    """A call took less time than its outputs take to be written."""
    SLOW_ARMING = "slow-arming"
    # the rest of a trial
    SAME_PROGRAM = "same-program"
    FAULT = "fault"
    """A fault of the kernel, described by `Results.fault`."""
    REFUSED = "refused"
    """Refused by admission, compiler or audit; `detail` says why."""
    MACHINE = "machine"
    """The machine failed; `detail` says how."""
    QUERIES = "queries"
    """What whole queries showed of a keep; `detail` has each class."""
    DEMOTED = "demoted"
    """The keep was taken back: `about` is the query class that is slower or answered otherwise."""
    QUOTED = "quoted"
    OLD = "old"
    """A row written before reasons were typed, of a kind that is not known."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as data. Which fields are set follows from the kind; `text.reasons` has the words."""

    kind: ReasonKind
    about: str = ""
    """The component or combo that it is about."""
    gain: float | None = None
    """Its estimate, %; of `too-fast` the time of a call, ns."""
    bound: float | None = None
    """The end of its interval that decided, %; of `too-fast` the least time, ns."""
    count: int | None = None
    total: int | None = None
    """A count out of a total: pairs valid, pairs void, pairs seen."""
    voids: tuple[tuple[str, int], ...] = ()
    """Causes of void pairs with their counts, most frequent first."""
    detail: str = ""
    """A sentence made elsewhere: a refusal, the machine's failure, an old row's reason."""
    at_confirmation: bool = False
    """The stage: screening if False."""


class Guard(StrEnum):
    """The guard's decision on one combo."""

    OK = "ok"
    SLOWER = "slower"
    """Its whole interval lies below the limit."""
    MAY_BE_SLOWER = "may be slower"
    """Its interval reaches a loss that is too large to be risked."""


class FaultKind(StrEnum):
    """A kernel's fault, as the conductor saw it."""

    MISMATCH = "mismatch"
    POISON = "poison"
    SLACK = "slack"
    LATE_WRITE = "late_write"
    PANIC = "panic"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    SANDBOX = "sandbox"
    MEMORY = "memory"
    ARM = "arm"
    STACK = "stack"
    PROCESSOR_STATE = "processor_state"

    @property
    def note_is_kernels(self) -> bool:
        """The note may come from the kernel's process; other notes are the conductor's."""
        return self in (
            FaultKind.PANIC, FaultKind.SIGNAL, FaultKind.TIMEOUT, FaultKind.SANDBOX,
            FaultKind.MEMORY,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a kernel went wrong, as the conductor saw it."""

    kind: FaultKind
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
    tier: str = "native"
    """CPU tier it was seen at."""

    @property
    def named_place(self) -> str | None:
        """The line of kernels.rs that the note names; it cannot carry an input out."""
        place = PLACE.search(self.note or "")
        return place.group() if place else None
