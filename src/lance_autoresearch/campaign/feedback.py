"""What a trial teaches beyond its verdict: which combos lost, what noise hid, how large it is.

    lost    scan8 96x4000 uniform -57.7% [-58.9 -56.4], scan8 16x256 uniform -4.1% [-6.0 -2.2]
    gained  table_l2 16x8 residual +40.8% [+24.2 +59.5]
    noise   a combo's interval is ±1.1 % wide in 9 pairs (median); less cannot be told apart
    code    6,312 bytes, champion 4,870
    guess   +5.0% predicted, -2.1% found

Everything comes from the row of the ledger: no seed, no input, no expected value can be in it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.text.curve import overall

SHOWN = 4
"""Combos named in one line."""


def feedback(record: TrialRecord, champion: TrialRecord | None = None) -> list[str]:
    """Lines for whoever makes the next kernel; empty where nothing was measured or built.

    Args:
        champion: the row that kept the champion, for its code size; None: upstream's own.
    """
    fields = measured(record)
    lines = []
    if fields is not None and record.verdict is not Verdict.KEEP:
        combos = fields["combos"]
        lost = sorted((c for c in combos if _lost(c)), key=_gain)
        won = sorted((c for c in combos if _won(c)), key=_gain, reverse=True)
        lines += _named("lost", lost or [c for c in combos if c["guard"] != "ok"])
        lines += _named("gained", won)
        lines += _noise(combos, fields["pairs"])
    return lines + _code(record, champion) + _guess(record)


def measured(record: TrialRecord) -> Mapping[str, Any] | None:
    """The confirmation's numbers, else the screening's; None where no pair counted."""
    for stage in ("confirm", "gate"):
        fields = record.numbers.get(stage)
        if isinstance(fields, Mapping) and fields.get("pairs") and fields.get("combos"):
            return fields
    return None


def code_bytes(record: TrialRecord | None) -> int | None:
    """Bytes of machine code in the kernel's object, None where it was not recorded."""
    code = record.numbers.get("code") if record else None
    size = code.get("text_bytes") if isinstance(code, Mapping) else None
    return int(size) if size is not None else None


def _gain(combo: Mapping[str, Any]) -> float:
    return float(combo["gain"])


def _lost(combo: Mapping[str, Any]) -> bool:
    return combo["high"] is not None and combo["high"] < 0.0


def _won(combo: Mapping[str, Any]) -> bool:
    return combo["low"] is not None and combo["low"] > 0.0


def _named(word: str, combos: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = [
        f"{c['op']} {c['name']} {c['gain']:+.1f}% {_bounds(c)}"
        for c in combos[:SHOWN]
    ]
    if len(combos) > SHOWN:
        shown.append(f"{len(combos) - SHOWN} more")
    return [f"{word:7} {', '.join(shown)}"] if shown else []


def _bounds(combo: Mapping[str, Any]) -> str:
    """`[-2.1 +0.4]`; an end is None while too few pairs bound it."""
    if combo["low"] is None and combo["high"] is None:
        return "(too few pairs for bounds)"
    low, high = ("open" if c is None else f"{c:+.1f}" for c in (combo["low"], combo["high"]))
    return f"[{low} {high}]"


def _noise(combos: Sequence[Mapping[str, Any]], pairs: int) -> list[str]:
    widths = [0.5 * (c["high"] - c["low"]) for c in combos if None not in (c["low"], c["high"])]
    if not widths:
        return []
    half = statistics.median(widths)
    return [
        f"noise   a combo's interval is ±{half:.1f} % wide in {pairs} pairs (median); "
        "less cannot be told apart"
    ]


def _code(record: TrialRecord, champion: TrialRecord | None) -> list[str]:
    mine, theirs = code_bytes(record), code_bytes(champion)
    if mine is None:
        return []
    return [f"code    {mine:,} bytes" + (f", champion {theirs:,}" if theirs else "")]


def _guess(record: TrialRecord) -> list[str]:
    guess = record.numbers.get("predicted")
    if guess is None:
        return []
    gain = overall(record)
    found = "nothing was measured" if gain is None else f"{gain:+.1f}% found"
    return [f"guess   {float(guess):+.1f}% predicted, {found}"]
