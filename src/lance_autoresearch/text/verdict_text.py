"""The verdict as people read it, in a fixed block.

    gate keep-candidate (all)  gain +2.14%  [valid at any stop +1.41 +2.88]  margin 0.50%  e=9.1e3 ...
    pairs 9 (void 0)  slices 3,240  1.8 s  core A 1  session A/A +0.03% ±0.11 (n=48, kept 0/48)
    combo                champion   candidate   gain    bound          guard
    768x96 clustered     84.31 µs    82.02 µs   +2.8%   +2.1 +3.4      ok
    next: confirm (fresh pools, 16 layouts)

Infinite ends of intervals read `open`. Text that agents or kernels wrote is stripped, bounded and
marked (`mark_untrusted`).
"""  # noqa: E501

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lance_autoresearch.ledger.results_json import encode_results
from lance_autoresearch.records import (
    ComboRow,
    Comparison,
    ConfirmResult,
    GateResult,
    Guard,
    Outcome,
    ReasonKind,
    Results,
    ScreeningFacts,
    TrialRecord,
    Verdict,
)
from lance_autoresearch.text.defence_text import print_defences
from lance_autoresearch.text.ends import format_ends
from lance_autoresearch.text.plain_text import mark_untrusted, strip_text
from lance_autoresearch.text.reasons import describe_reason

WIDTH = 100
"""Columns of prose and tables. The first two lines are never wrapped (programs read them): 104."""
MAX_ROWS = 24
"""Combos shown; a target times at most 12."""
_NAME = (16, 36)
"""Least and greatest width of the combo column."""


def count_slices(comparison: Comparison) -> int:
    """Timed slices on both sides of the pairs that count."""
    return sum(
        len(side) for p in comparison.pairs if p.void is None for side in p.champion + p.candidate
    )


def record_to_json(record: TrialRecord) -> dict[str, Any]:
    """A ledger row as JSON-able fields, untrusted text stripped."""
    fields = asdict(record)
    del fields["results"], fields["stored"]
    fields["verdict"] = str(record.verdict)
    fields["exit_code"] = record.verdict.exit_code
    fields["reason"] = strip_text(record.reason, 2048)
    fields["hypothesis"] = strip_text(record.hypothesis)
    fields["numbers"] = encode_results(record.results)
    return fields


def print_gate(
    result: GateResult, facts: ScreeningFacts | None = None, *, margin: float = 0.5,
    confirm_pairs: int | None = None,
) -> str:  # fmt: skip
    """The gate's block.

    Args:
        margin: the policy's, %.
        confirm_pairs: how many a confirmation would take, if that is known.
    """
    claimed = result.claimed
    ends = format_ends(claimed.low, claimed.high, 2)
    head = (
        f"gate {result.outcome} ({strip_text(result.claim, 24)})  gain {claimed.gain:+.2f}%  "
        f"[valid at any stop {ends}]  margin {margin:.2f}%  "
        f"e={_shorten_e_value(result.e)} (need {_shorten_e_value(result.threshold)})"
    )
    run = f"pairs {result.pairs} (void {result.void}){_render_facts(facts)}"
    rows = render_combo_table(result.combos) if result.pairs else []
    after = f"next: {strip_text(_describe_next(result, confirm_pairs), 400)}"
    return "\n".join([head, run, *rows, *_wrap_line(after)])


def print_confirm(result: ConfirmResult, *, margin: float = 0.5, level: float = 0.99) -> str:
    """The confirmation's block."""
    claimed = result.claimed
    ends = format_ends(claimed.low, claimed.high, 2)
    head = (
        f"confirm {result.verdict} ({strip_text(result.claim, 24)})  "
        f"gain {claimed.gain:+.2f}%  [{100 * level:g}% {ends}]  "
        f"margin {margin:.2f}%  pairs {result.pairs} (void {result.void})"
    )
    others = [(c.name, c) for c in result.components if c.name != result.claim]
    if result.long_blocks is not None:
        others.append(("long blocks", result.long_blocks))
    beside = "  ".join(
        f"{strip_text(name, 24)} {c.gain:+.2f}% [{format_ends(c.low, c.high, 2)}]"
        for name, c in others
    )
    return "\n".join(
        [
            head,
            *_wrap_line(f"beside it  {beside}" if beside else ""),
            *render_combo_table(result.combos),
            *_wrap_line(f"why: {strip_text(describe_reason(result.reason), 400)}"),
        ]
    )


def print_trial(record: TrialRecord, number: int | None = None) -> str:
    """A trial's block: verdict first, then who and what, then its measurements.

    Args:
        number: its row in the ledger, if it has one.
    """
    gain = ""
    if record.gain is not None:
        gain = f"  gain {record.gain:+.2f}% [{format_ends(record.low, record.high, 2)}]"
    row = "" if number is None else f"  trial {number}"
    lines = _wrap_line(f"verdict {record.verdict}  {strip_text(record.target, 40)}{gain}{row}")
    lines += _wrap_line(f"why: {strip_text(record.reason, 2048)}")
    if weak := record.machine.get("weak"):
        points = ", ".join(strip_text(weak, 200).split())
        lines += _wrap_line(f"weaker on this machine: {points}   (./lar doctor: how, and the fix)")
    if record.hypothesis:
        lines += _wrap_line(f"hypothesis {mark_untrusted(record.hypothesis)}")
    lines += _wrap_line(
        f"kernel {record.kernel[:12]}  champion {record.champion[:12]}  "
        f"by {strip_text(record.agent, 40)}  kind {strip_text(record.kind, 20)}"
    )
    if record.results.made_from:
        lines += _wrap_line(f"made from {record.results.made_from[:12]}, an older champion; judged "
                            "against the newest")
    if record.phases:
        spent = "  ".join(f"{strip_text(k, 20)} {v:.2f}" for k, v in record.phases.items())
        lines += _wrap_line(f"seconds {record.seconds:.2f}: {spent}")
    lines += print_results(record.results)
    if record.verdict is Verdict.INCORRECT and number is not None:
        again = f"./lar diff {number}"
        lines += ["", f"values  {again}   (the same comparison on public inputs)"]
    return "\n".join(lines)


def print_results(results: Results) -> list[str]:
    """The blocks of all stages that were reached."""
    lines = []
    margin = results.margin
    if results.screening is not None:
        lines += ["", print_gate(results.screening, results.screening_facts, margin=margin)]
    if results.confirmation is not None:
        lines += ["", print_confirm(results.confirmation, margin=margin, level=results.level)]
    return lines + print_defences(results).splitlines() + _render_kinds(results)


def _render_kinds(results: Results) -> list[str]:
    """A line for each CPU kind that judged the kernel, side by side; empty: only this machine."""
    lines = [""] if results.kinds else []
    for found in results.kinds:
        gain = "not measured"
        if found.gain is not None:
            gain = f"{found.gain:+.2f}% [{format_ends(found.low, found.high, 2)}]"
        why = "" if found.reason is None else strip_text(describe_reason(found.reason), 60)
        lines.append(f"on {strip_text(found.kind, 24):14} {found.verdict:12} {gain:28} "
                     f"e={_shorten_e_value(found.e)}  {why}"[:WIDTH])
    return lines


def _describe_next(result: GateResult, confirm_pairs: int | None) -> str:
    """The next step after the gate's decision."""
    reason = describe_reason(result.reason)
    if result.outcome is Outcome.KEEP_CANDIDATE:
        layouts = "" if confirm_pairs is None else f", {confirm_pairs} layouts"
        return f"confirm (fresh pools{layouts})"
    if result.outcome is Outcome.CONTINUE:
        return f"another pair ({reason})"
    if result.outcome is Outcome.INCONCLUSIVE:
        return f"run it again ({reason})"
    if result.reason.kind is ReasonKind.NOT_PROVEN:
        return "combine it with another idea (not proven)"
    return f"another idea ({reason})"


def _render_facts(facts: ScreeningFacts | None) -> str:
    if facts is None:
        return ""
    words = ""
    if facts.slices is not None:
        words += f"  slices {facts.slices:,}"
    if facts.seconds is not None:
        words += f"  {facts.seconds:.1f} s"
    if facts.core is not None:
        words += f"  core A {facts.core}"
    if (aa := facts.aa) is not None:
        half = 0.5 * (aa.high - aa.low)
        kept = f", kept {facts.nulls_kept}/{facts.nulls}" if facts.nulls else ""
        words += f"  session A/A {aa.gain:+.2f}% ±{half:.2f} (n={aa.n}{kept})"
    return words


def render_combo_table(rows: Sequence[ComboRow]) -> list[str]:
    """Lines of the combo table; with several ops, names carry them."""
    several = len({r.combo.op for r in rows}) > 1
    names = [
        strip_text(r.combo.label if several else r.combo.name, _NAME[1]) for r in rows[:MAX_ROWS]
    ]
    width = max([_NAME[0], *map(len, names)])
    lines = [f"{'combo':{width}} {'champion':>12} {'candidate':>11}   {'gain':8}{'bound':15}guard"]
    for name, row in zip(names, rows[:MAX_ROWS], strict=True):
        gain = f"{row.gain:+.1f}%"
        lines.append(
            f"{name:{width}} {_time(row.champion_ns):>12} {_time(row.candidate_ns):>11}   "
            f"{gain:7} {format_ends(row.low, row.high, 1):14} {describe_guard(row)}"
        )
    if len(rows) > MAX_ROWS:
        lines.append(f"... {len(rows) - MAX_ROWS} more combos")
    return lines


def describe_guard(row: ComboRow) -> str:
    """`ok`, `slower`, or the lower bound of its gain: `may be -5.12%`."""
    if row.guard is Guard.MAY_BE_SLOWER:
        return f"may be {row.low:+.2f}%"
    return str(row.guard)


def _shorten_e_value(e: float) -> str:
    """9100 -> `9.1e3`."""
    digits, _, power = f"{e:.1e}".partition("e")
    return f"{digits}e{int(power)}" if e else "0"


def _time(ns: float) -> str:
    """Four digits and a unit: `812.3 ns`, `84.31 µs`."""
    for unit, size in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)):
        value = ns / size
        if value < 999.95 or unit == "s":
            break
    digits = 2 if value < 99.995 else 1
    return f"{value:.{digits}f} {unit}"


def _wrap_line(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=True)
