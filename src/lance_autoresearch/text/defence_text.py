"""The results of the defences as people read them: one line each, then a row for every combo.

    defence ok  on inputs and sizes never met before: gain +18.10%, at most +19.44%
    defence ok  champion slowed by running behind this kernel: -0.15%, at least -0.93%
    combo             confirmed  met once  at most  opponent  at least  defences
    16x256 uniform       +16.4%     +7.3%   +19.0%     -0.5%     -3.1%  ok
"""

from __future__ import annotations

from lance_autoresearch.records import (
    DefenceRow,
    DistinctInputsResult,
    OpponentResult,
    Results,
    TotalsResult,
)
from lance_autoresearch.text.ends import format_end, format_ends
from lance_autoresearch.text.plain_text import strip_text

MAX_ROWS = 24
"""Combos shown; a target times at most 12."""
NAME = 40
"""Greatest width of the combo column."""


def print_defences(results: Results) -> str:
    """The results of the defences; empty if none was run."""
    lines = []
    if (seen := results.distinct_inputs) is not None:
        words = f"gain {seen.gain:+.2f}%, at most {format_end(seen.high, 2)}%"
        lines.append(f"{_describe_decision(seen)}  on inputs and sizes never met before: {words}")
    if (opponent := results.opponent) is not None:
        words = f"{opponent.slowdown:+.2f}%, at least {format_end(opponent.low, 2)}%"
        lines.append(
            f"{_describe_decision(opponent)}  champion slowed by running behind this kernel: "
            f"{words}"
        )
    lines += _render_combos(seen.combos if seen else (), opponent.combos if opponent else ())
    if results.totals is not None:
        lines += _render_totals(results.totals)
    for tier in results.lower_tiers:
        word = "rejected" if tier.reason is not None else "defence ok"
        whole = tier.components[0]
        ends = format_ends(whole.low, whole.high, 2)
        lines.append(f"{word}  at tier {tier.tier}: {whole.gain:+.2f}% [{ends}], "
                     f"{tier.pairs} pairs (void {tier.void})")
    return "\n".join(lines)


def _describe_decision(found: DistinctInputsResult | OpponentResult) -> str:
    return "rejected" if found.rejected else "defence ok"


def _render_combos(
    distinct: tuple[DefenceRow, ...], opponent: tuple[DefenceRow, ...]
) -> list[str]:
    """The table of combos; empty for results without rows."""
    labels = [strip_text(row.combo.label, NAME) for row in (distinct or opponent)[:MAX_ROWS]]
    if not labels:
        return []
    width = max(16, *map(len, labels))
    head = (f"{'combo':{width}} {'confirmed':>10} {'met once':>9} {'at most':>9} {'opponent':>9} "
            f"{'at least':>9}  defences")  # fmt: skip
    lines = [head]
    for i, label in enumerate(labels):
        once = distinct[i] if distinct else None
        behind = opponent[i] if opponent else None
        known = once or behind
        assert known is not None
        lines.append(
            f"{label:{width}} {_percent(known.claimed):>10} {_cells(once)} {_cells(behind)}  "
            f"{_judge_row(once, behind)}"
        )
    if len(distinct or opponent) > MAX_ROWS:
        lines.append(f"... {len(distinct or opponent) - MAX_ROWS} more combos")
    return lines


def _render_totals(found: TotalsResult) -> list[str]:
    """A line for each op, and one for what was slow again."""
    word = "rejected" if found.rejected else "defence ok"
    lines = [
        f"{word}  total time of {row.inputs:,} distinct inputs of {strip_text(row.op, NAME)}: "
        f"{row.gain:+.2f}% [{format_ends(row.low, row.high, 2)}]"
        for row in found.ops
    ]
    if found.suspected:
        again = sum(slow.inputs for slow in found.slow)
        lines.append(f"looked slow: {found.suspected} inputs or groups; slow again in each of "
                     f"{found.repeats} other pairs: {again} inputs")  # fmt: skip
    return lines


def _cells(row: DefenceRow | None) -> str:
    """What was seen, and its bound."""
    seen, bound = ("", "") if row is None else (_percent(row.seen), _percent(row.bound))
    return f"{seen:>9} {bound:>9}"


def _percent(value: float) -> str:
    end = format_end(value, 1)
    return end if end == "open" else f"{end}%"


def _judge_row(once: DefenceRow | None, behind: DefenceRow | None) -> str:
    """`ok`, or which of the two defences it failed."""
    failed = [
        word
        for word, row in (("met once", once), ("opponent", behind))
        if row is not None and row.rejected
    ]
    return f"fails {', '.join(failed)}" if failed else "ok"
