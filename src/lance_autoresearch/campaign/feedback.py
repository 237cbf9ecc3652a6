"""Feedback of a trial beyond its verdict: which combos lost, the width of noise, the code size.

    lost    hamming 4096 random -57.7% [-58.9 -56.4], hamming 256 skewed -4.1% [-6.0 -2.2]
    gained  hamming 1024 random +40.8% [+24.2 +59.5]
    noise   a combo's interval is ±1.1 % wide in 9 pairs (median); a smaller effect does not show
    code    6,312 bytes, champion 4,870
    guess   +5.0% predicted, -2.1% found

Everything comes from the row of the ledger: no seed, no input, no expected value can be in it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from lance_autoresearch.records import ComboRow, Guard, TrialRecord, Verdict
from lance_autoresearch.text.curve import find_overall_gain

SHOWN = 4
"""Combos named in one line."""


def write_feedback(record: TrialRecord, champion: TrialRecord | None = None) -> list[str]:
    """Lines for the author of the next kernel; empty if nothing was measured or built.

    Args:
        champion: the row that kept the champion, for its code size; None: upstream's own.
    """
    stage = record.results.measured
    lines = []
    if stage is not None and record.verdict is not Verdict.KEEP:
        combos = stage.combos
        lost = sorted((c for c in combos if c.high < 0.0), key=lambda c: c.gain)
        won = sorted((c for c in combos if c.low > 0.0), key=lambda c: c.gain, reverse=True)
        lines += _name_combos("lost", lost or [c for c in combos if c.guard is not Guard.OK])
        lines += _name_combos("gained", won)
        lines += _describe_noise(combos, stage.pairs)
    return lines + _describe_code(record, champion) + _describe_guess(record)


def read_code_bytes(record: TrialRecord | None) -> int | None:
    """Bytes of machine code in the kernel's object, None if it was not recorded."""
    code = record.results.code if record else None
    return None if code is None else code.text_bytes


def _name_combos(word: str, combos: Sequence[ComboRow]) -> list[str]:
    shown = [f"{c.combo.label} {c.gain:+.1f}% {_format_bounds(c)}" for c in combos[:SHOWN]]
    if len(combos) > SHOWN:
        shown.append(f"{len(combos) - SHOWN} more")
    return [f"{word:7} {', '.join(shown)}"] if shown else []


def _format_bounds(combo: ComboRow) -> str:
    """`[-2.1 +0.4]`; an end is infinite while too few pairs bound it."""
    ends = (combo.low, combo.high)
    if not any(map(math.isfinite, ends)):
        return "(too few pairs for bounds)"
    low, high = (f"{end:+.1f}" if math.isfinite(end) else "open" for end in ends)
    return f"[{low} {high}]"


def _describe_noise(combos: Sequence[ComboRow], pairs: int) -> list[str]:
    widths = [0.5 * (c.high - c.low) for c in combos if math.isfinite(c.high - c.low)]
    if not widths:
        return []
    half = statistics.median(widths)
    return [
        f"noise   a combo's interval is ±{half:.1f} % wide in {pairs} pairs (median); "
        "a smaller effect does not show"
    ]


def _describe_code(record: TrialRecord, champion: TrialRecord | None) -> list[str]:
    mine, theirs = read_code_bytes(record), read_code_bytes(champion)
    if mine is None:
        return []
    return [f"code    {mine:,} bytes" + (f", champion {theirs:,}" if theirs else "")]


def _describe_guess(record: TrialRecord) -> list[str]:
    guess = record.results.predicted
    if guess is None:
        return []
    gain = find_overall_gain(record)
    found = "nothing was measured" if gain is None else f"{gain:+.1f}% found"
    return [f"guess   {float(guess):+.1f}% predicted, {found}"]
