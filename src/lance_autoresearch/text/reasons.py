"""Sentences for reasons: the only place where a typed reason becomes words.

    describe_reason(Reason(ReasonKind.CLAIM_TOO_SMALL, "all", 1.2, 0.31, at_confirmation=True))
        "not confirmed: all +1.20%, may be only +0.31%"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lance_autoresearch.records import Reason, ReasonKind, VoidCause

VOIDS: Mapping[str, str] = {
    VoidCause.CLOCK_JUMPED: "the clock jumped",
    VoidCause.MACHINE_SLEPT: "the machine slept",
    VoidCause.FOREIGN_WORK: "foreign work on the measuring core",
    VoidCause.CHAMPION_SLOW_TO_ARM: "the champion took too long to get ready",
    VoidCause.CANDIDATE_SLOW_TO_ARM: "the candidate took too long to get ready",
    VoidCause.KEPT_FROM_CORE: "a worker was kept from its core",
    VoidCause.NOT_WOKEN: "a worker did not wake up",
    VoidCause.ENDED_FROM_OUTSIDE: "a worker was ended by a signal from outside",
    VoidCause.NEVER_BEGAN: "it never began",
    VoidCause.OTHER: "another cause",
}
KEPT_BACK = (
    ReasonKind.CLAIM_TOO_SMALL, ReasonKind.SLOW_PROCESSES, ReasonKind.OTHER_OP_SLOWER,
    ReasonKind.OTHER_OP_MAY_BE_SLOWER, ReasonKind.COMBO_SLOWER, ReasonKind.COMBO_MAY_BE_SLOWER,
    ReasonKind.LONG_BLOCKS, ReasonKind.FEW_VALID_PAIRS, ReasonKind.TIER_SLOWER,
    ReasonKind.TIER_MAY_BE_SLOWER, ReasonKind.SLOW_INPUTS, ReasonKind.TOTAL_SLOWER,
)  # fmt: skip
"""Kinds that read `not confirmed: ...` when they are about the confirmation."""


def describe_reason(reason: Reason) -> str:
    """The sentence of a reason; an old row's own sentence if there is one."""
    if reason.detail:
        return reason.detail
    words = SENTENCES[reason.kind](reason)
    kept_back = reason.at_confirmation and reason.kind in KEPT_BACK
    return f"not confirmed: {words}" if kept_back else words


SUMMARIES: Mapping[ReasonKind, str] = {
    ReasonKind.COMBO_SLOWER: "one combo became slower",
    ReasonKind.COMBO_MAY_BE_SLOWER: "one combo may be slower",
    ReasonKind.OTHER_OP_SLOWER: "another op became slower",
    ReasonKind.OTHER_OP_MAY_BE_SLOWER: "another op may be slower",
    ReasonKind.CLAIM_TOO_SMALL: "the gain was not confirmed",
    ReasonKind.SLOW_PROCESSES: "slow in some processes",
    ReasonKind.LONG_BLOCKS: "the gain is gone in long blocks",
    ReasonKind.TIER_SLOWER: "slower without wider instructions",
    ReasonKind.TIER_MAY_BE_SLOWER: "may be slower without wider instructions",
    ReasonKind.REPEATED_INPUTS: "faster only where inputs repeat",
    ReasonKind.SLOWED_OPPONENT: "slowed its opponent down",
    ReasonKind.SLOW_INPUTS: "slow on some inputs",
    ReasonKind.TOTAL_SLOWER: "slower over all inputs of a kind",
    ReasonKind.TOO_FAST: "faster than its outputs can be written",
    ReasonKind.SLOW_ARMING: "worked before the clock started",
    ReasonKind.VOID_PAIRS: "too many pairs were disturbed",
    ReasonKind.FEW_VALID_PAIRS: "too many pairs were disturbed",
    ReasonKind.DEMOTED: "whole queries became slower, or answered otherwise",
}
"""Reasons without their figures, so that trials can be grouped by them."""
LONGEST_SUMMARY = 90
COMPILER_ERROR = re.compile(r"error\[E\d+\]")


def summarize_reason(reason: Reason) -> str:
    """The kind of reason in a few words; a refusal by its first line."""
    words = SUMMARIES.get(reason.kind)
    if words is None:
        first = describe_reason(reason).partition("\n")[0]
        if code := COMPILER_ERROR.search(first):
            return f"did not compile: {code[0]}"
        return first[:LONGEST_SUMMARY] or "no reason given"
    combo = reason.kind in (ReasonKind.COMBO_SLOWER, ReasonKind.COMBO_MAY_BE_SLOWER)
    stage = "at confirmation " if reason.at_confirmation and combo else ""
    return f"{stage}{words}: {reason.about}" if combo and reason.about else f"{stage}{words}"


def describe_voids(reason: Reason) -> str:
    """Causes of void pairs, most frequent first: `the clock jumped (3)`."""
    named = ((VOIDS.get(cause, cause), count) for cause, count in reason.voids)
    return ", ".join(f"{words} ({count})" for words, count in named) or "none"


def format_percent(value: float | None) -> str:
    """`+1.20%`, or `unknown`."""
    return "unknown" if value is None else f"{value:+.2f}%"


def _describe_few_valid(reason: Reason) -> str:
    pairs = f"{reason.count} of {reason.total} pairs"
    about = f" {_name_measurement(reason.about)}" if reason.about else ""
    return f"{pairs}{about} valid, void: {describe_voids(reason)}"


def _name_measurement(about: str) -> str:
    return "with long blocks" if about == "long blocks" else about


SENTENCES: Mapping[ReasonKind, Callable[[Reason], str]] = {
    ReasonKind.TOO_FEW_PAIRS: lambda r: f"{r.count} of at least {r.total} pairs",
    ReasonKind.UNDECIDED: lambda r: f"undecided after {r.count} pairs",
    ReasonKind.PROVEN: lambda _: "proven: confirm on fresh pools and layouts",
    ReasonKind.SLOWER: lambda _: "slower",
    ReasonKind.NO_GAIN: lambda _: "no gain above the margin",
    ReasonKind.NOT_PROVEN: lambda _: "not proven: worth combining with another idea",
    ReasonKind.COMBO_SLOWER: lambda r: (
        f"guard: {r.about} is slower: {format_percent(r.gain)} (at most {format_percent(r.bound)})"
    ),
    ReasonKind.VOID_PAIRS: lambda r: f"{r.count} of {r.total} pairs void: {describe_voids(r)}",
    ReasonKind.CONFIRMED: lambda _: "confirmed on fresh inputs, sizes and layouts",
    ReasonKind.CLAIM_TOO_SMALL: lambda r: (
        f"{r.about} {format_percent(r.gain)}, may be only {format_percent(r.bound)}"
    ),
    ReasonKind.SLOW_PROCESSES: lambda r: (
        f"{r.about} {format_percent(r.gain)} with its slow processes, may be only "
        f"{format_percent(r.bound)}"
    ),
    ReasonKind.OTHER_OP_SLOWER: lambda r: (
        f"{r.about} is slower: {format_percent(r.gain)} (at most {format_percent(r.bound)})"
    ),
    ReasonKind.OTHER_OP_MAY_BE_SLOWER: lambda r: (
        f"{r.about} may be slower: {format_percent(r.bound)}"
    ),
    ReasonKind.COMBO_MAY_BE_SLOWER: lambda r: (
        f"guard: {r.about} {format_percent(r.gain)} may be slower: {format_percent(r.bound)}"
    ),
    ReasonKind.LONG_BLOCKS: lambda r: f"in long blocks only {format_percent(r.gain)}",
    ReasonKind.FEW_VALID_PAIRS: _describe_few_valid,
    ReasonKind.TIER_SLOWER: lambda r: (
        f"slower without wider instructions: {r.about} {format_percent(r.gain)} "
        f"(at most {format_percent(r.bound)})"
    ),
    ReasonKind.TIER_MAY_BE_SLOWER: lambda r: (
        f"may be slower without wider instructions: {r.about} {format_percent(r.gain)} "
        f"(as low as {format_percent(r.bound)})"
    ),
    ReasonKind.REPEATED_INPUTS: lambda r: (
        f"{r.about} where inputs repeat, {format_percent(r.gain)} (at most "
        f"{format_percent(r.bound)}) where its "
        "process meets each input for the first time, at sizes near the known ones: an answer must "
        "be computed in every call, not found in memory left by an earlier one, and at every size"
    ),
    ReasonKind.SLOWED_OPPONENT: lambda r: (
        f"{r.about}, but the champion itself is {_format_size(r.gain)} (at least "
        f"{_format_size(r.bound)}) slower "
        "behind this kernel than behind other code: leave caches and other state of the machine as "
        "you would find them in production"
    ),
    ReasonKind.SLOW_INPUTS: lambda r: (
        f"slow in each of {r.total} process pairs on {r.count} of the distinct inputs: {r.about} "
        f"({format_percent(r.gain)}): every input counts, not only the median one"
    ),
    ReasonKind.TOTAL_SLOWER: lambda r: (
        f"the total time of {r.count} distinct inputs is longer in each of {r.total} process "
        f"pairs: {r.about} ({format_percent(r.gain)})"
    ),
    ReasonKind.TOO_FAST: lambda r: (
        f"{r.about}: {_format_ns(r.gain)} a call, and its outputs alone cannot be written in "
        f"{_format_ns(r.bound)}: all work belongs inside the call"
    ),
    ReasonKind.SLOW_ARMING: lambda r: (
        f"the kernel's process was slow to get ready in {r.count} pairs: work done before the "
        "clock starts does not count; do it inside the call"
    ),
    ReasonKind.SAME_PROGRAM: lambda _: "the same program as the champion, nothing to measure",
    ReasonKind.FAULT: lambda _: "the kernel is at fault",
    ReasonKind.REFUSED: lambda _: "refused",
    ReasonKind.MACHINE: lambda _: "the machine failed",
    ReasonKind.QUERIES: lambda _: "whole queries were measured",
    ReasonKind.DEMOTED: lambda r: f"demoted: whole queries of {r.about} are slower with it",
    ReasonKind.QUOTED: lambda r: f"quoted against Lance at tier {r.about}",
    ReasonKind.OLD: lambda _: "",
}


def _format_size(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}%"


def _format_ns(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} ns"
