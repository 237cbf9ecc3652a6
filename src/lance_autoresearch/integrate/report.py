"""An integration report in words: a table for a terminal, a JSON object for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lance_autoresearch.integrate.class_report import ClassReport, IntegrationReport
from lance_autoresearch.integrate.controls import Control
from lance_autoresearch.records import ClassEffect, Effect, KernelCalls
from lance_autoresearch.rules.policy import QUERIES
from lance_autoresearch.text.plain_text import mark_untrusted

_MEASURED = (Effect.FASTER, Effect.SLOWER, Effect.NO_CHANGE, Effect.NOT_RESOLVED)


def print_report(report: IntegrationReport) -> list[str]:
    """Lines: one row a class, then controls, memory and what went wrong."""
    head = ("class", "Lance", "with it", "gain", "kernel", "predicted", "")
    rows: list[tuple[str, ...]] = [head]
    rows += [_list_cells(one) for one in report.classes]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    padded = [[c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows]
    lines = ["  ".join(row).rstrip() for row in padded]
    lines.append("")
    for one in report.classes:
        lines += [f"{one.effect.name}: {text}" for text in _describe_controls(one)]
    lines.append(f"{report.compared} queries were answered by both and compared")
    if report.fault:
        lines.append(f"the candidate: {mark_untrusted(report.fault)}")
    mine, theirs = report.peak_memory[1], report.peak_memory[0]
    if theirs:
        lines.append(f"peak memory: Lance {theirs / 1e6:.0f} MB, with it {mine / 1e6:.0f} MB")
    return lines


def _list_cells(one: ClassReport) -> tuple[str, ...]:
    effect = one.effect
    known = effect.effect in _MEASURED or effect.effect is Effect.NOT_BELIEVED
    return (
        effect.name,
        format_ns(effect.baseline_ns) if known and effect.pairs else "",
        format_ns(effect.candidate_ns) if known and effect.pairs else "",
        format_gain(effect) if effect.effect in _MEASURED and effect.pairs else "",
        f"{100 * one.share:.0f} % of the time" if one.lance else "",
        "" if one.predicted is None else f"{one.predicted:+.1f} %",
        describe_effect(effect),
    )


def format_ns(value: float) -> str:
    """`1.42 ms` or `310 us`."""
    return f"{value / 1e6:.2f} ms" if value >= 1e6 else f"{value / 1e3:.0f} us"


def format_gain(effect: ClassEffect) -> str:
    """`+17.1 % (+15.2 to +19.0)`."""
    return f"{effect.gain:+.1f} % ({effect.low:+.1f} to {effect.high:+.1f})"


def describe_effect(effect: ClassEffect) -> str:
    """The verdict; with the smallest change that would have been seen, if none was."""
    if effect.effect is Effect.NOT_RESOLVED and effect.pairs < QUERIES.min_pairs:
        return "not resolved: other work disturbed the pairs"
    if effect.effect in (Effect.NO_CHANGE, Effect.NOT_RESOLVED):
        return f"{effect.effect} (one of {effect.resolution:.1f} % would have been seen)"
    return str(effect.effect)


def _describe_controls(one: ClassReport) -> list[str]:
    lines = []
    for control in one.controls:
        alike, routed = format_gain(control.alike), format_gain(control.routed)
        lines.append(f"A/A {alike}; Lance's own code through the hook {routed}")
    for call in one.lance:
        if call.calls:
            lines.append(
                f"{call.op}: {call.calls} calls seen, {format_ns(call.ns_per_call)} each, "
                f"{100 * call.share:.1f} % of the time"
            )
    return lines


def encode_report(report: IntegrationReport) -> dict[str, Any]:
    """The report as plain data, without the raw pairs."""
    return {
        "v": 1,
        "program": report.program,
        "compared": report.compared,
        "peak_memory": list(report.peak_memory),
        "fault": report.fault,
        "classes": [_encode_class(one) for one in report.classes],
    }


def _encode_class(one: ClassReport) -> dict[str, Any]:
    return {
        "class": one.effect.name,
        **_encode_effect(one.effect),
        "share": round(one.share, 4),
        "predicted": one.predicted,
        "lance": _encode_calls(one.lance),
        "candidate": _encode_calls(one.candidate),
        "controls": [_encode_control(control) for control in one.controls],
    }


def _encode_effect(effect: ClassEffect) -> dict[str, Any]:
    return {
        "effect": str(effect.effect), "gain": round(effect.gain, 3),
        "low": _round_finite(effect.low), "high": _round_finite(effect.high),
        "lance_ns": effect.baseline_ns, "candidate_ns": effect.candidate_ns,
        "pairs": effect.pairs,
    }  # fmt: skip


def _round_finite(value: float) -> float | None:
    """JSON has no infinity: an open end is null."""
    return round(value, 3) if math.isfinite(value) else None


def _encode_calls(calls: Sequence[KernelCalls]) -> list[dict[str, Any]]:
    return [
        {"op": c.op, "calls": c.calls, "units": c.units, "share": round(c.share, 4),
         "ns_per_call": round(c.ns_per_call, 1)}
        for c in calls
    ]  # fmt: skip


def _encode_control(control: Control) -> dict[str, Any]:
    return {"alike": _encode_effect(control.alike), "routed": _encode_effect(control.routed)}
