"""Ends of intervals as people read them; infinite ones read `open`."""

from __future__ import annotations

import math


def format_ends(low: float | None, high: float | None, digits: int) -> str:
    """Both ends of an interval, at most 14 columns."""
    return f"{format_end(low, digits)} {format_end(high, digits)}"


def format_end(end: float | None, digits: int) -> str:
    """One end with its sign, or `open`."""
    if end is None or not math.isfinite(end):
        return "open"
    shown = digits if abs(end) < 999 else 0
    return f"{end:+.{shown}f}" if abs(end) < 99_999 else f"{end:+.0e}"
