"""The verdict as people and programs read it: one set of fields, printed in a fixed block.

    fields = gate_numbers(result)        # JSON-able; what --json prints and the ledger keeps
    print(gate_block(fields))            # the block below; works on fields from the ledger too

    gate keep-candidate (all)  gain +2.14%  [valid at any stop +1.41 +2.88]  margin 0.50%  e=9.1e3 ...
    pairs 9 (void 0)  slices 3,240  1.8 s  core A 1  session A/A +0.03% ±0.11 (n=48, kept 0/48)
    combo                champion   candidate   gain    bound          guard
    768x96 clustered     84.31 µs    82.02 µs   +2.8%   +2.1 +3.4      ok
    next: confirm (fresh pools, 16 layouts)

Every number of a block is a field. Infinite ends are null in the fields and `open` in the text.
Text that agents or kernels wrote is stripped, bounded and marked (`untrusted`).
"""  # noqa: E501

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lance_autoresearch.records import (
    ComboRow,
    Comparison,
    GateResult,
    Outcome,
    TrialRecord,
    Verdict,
)
from lance_autoresearch.rules.confirmation import (
    ConfirmResult,
    Estimate,
    OpponentResult,
    UnseenResult,
    slowed_opponent,
    unseen,
)
from lance_autoresearch.rules.gate import NOT_PROVEN
from lance_autoresearch.rules.policy import DEFAULT, Policy
from lance_autoresearch.text.plain_text import stripped, untrusted

WIDTH = 100
"""Columns of prose and tables. The first two lines are never wrapped (programs read them): 104."""
MAX_ROWS = 24
"""Combos shown; a target times at most 12."""
_NAME = (16, 36)
"""Least and greatest width of the combo column."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about the measurement beside the comparison; unknown parts stay None."""

    slices: int | None = None
    seconds: float | None = None
    core: int | None = None
    """Core A, where the workers ran."""
    aa: Estimate | None = None
    """The session's bias: champion against its own copy."""
    nulls: int = 0
    """Null trials of the session so far..."""
    nulls_kept: int = 0
    """...and how many the gate would have kept."""


def slices(comparison: Comparison) -> int:
    """Timed slices on both sides of the pairs that count."""
    return sum(
        len(side) for p in comparison.pairs if p.void is None for side in p.champion + p.candidate
    )


def gate_numbers(
    result: GateResult, facts: Facts | None = None, policy: Policy = DEFAULT
) -> dict[str, Any]:
    """The gate's fields, JSON-able; gains in %, times in ns."""
    claimed = result.claimed
    return {
        "kind": "gate",
        "outcome": str(result.outcome),
        "reason": result.reason,
        "claim": result.claim,
        "gain": claimed.gain,
        "low": _finite(claimed.low),
        "high": _finite(claimed.high),
        "margin": 100.0 * policy.margin,
        "e": result.e,
        "need": result.need,
        "pairs": result.pairs,
        "void": result.void,
        "components": [{k: _finite(v) for k, v in asdict(c).items()} for c in result.components],
        "combos": [_combo_numbers(row) for row in result.combos],
        "facts": asdict(facts) if facts else None,
        "next": _next(result, policy),
    }


def confirm_numbers(result: ConfirmResult, policy: Policy = DEFAULT) -> dict[str, Any]:
    """The confirmation's fields, JSON-able; gains in %, times in ns."""
    claimed = result.claimed
    return {
        "kind": "confirm",
        "verdict": str(result.verdict),
        "reason": result.reason,
        "claim": result.claim,
        "gain": claimed.gain,
        "low": _finite(claimed.low),
        "high": _finite(claimed.high),
        "level": policy.confirm_level,
        "margin": 100.0 * policy.margin,
        "pairs": result.pairs,
        "void": result.void,
        "components": [_estimate_numbers(c) for c in result.components],
        "combos": [_combo_numbers(row) for row in result.combos],
        "licence": _estimate_numbers(result.licence) if result.licence else None,
    }


def defence_numbers(
    result: ConfirmResult, seen: Sequence[Comparison], policy: Policy = DEFAULT
) -> dict[str, Any]:
    """What defences D (`unseen`) and S (`opponent`) say of their pairs, where they were run.

    All in %, JSON-able; `rejected` forbids the keep.

    Args:
        seen: nothing, what D measured, or what D and S did.
    """
    rules: dict[str, Callable[[Comparison, str, float, Policy], UnseenResult | OpponentResult]]
    rules = {"unseen": unseen, "opponent": slowed_opponent}
    found = {
        name: asdict(rule(pairs, result.claim, result.claimed.gain, policy))
        for (name, rule), pairs in zip(rules.items(), seen, strict=False)
    }
    return {name: {k: _finite(v) for k, v in one.items()} for name, one in found.items()}


def trial_numbers(record: TrialRecord) -> dict[str, Any]:
    """A ledger row as JSON-able fields, strangers' text stripped."""
    fields = asdict(record)
    fields["verdict"] = str(record.verdict)
    fields["exit_code"] = record.verdict.exit_code
    fields["reason"] = stripped(record.reason, 2048)
    fields["hypothesis"] = stripped(record.hypothesis)
    return fields


def gate_text(result: GateResult, facts: Facts | None = None, policy: Policy = DEFAULT) -> str:
    """The gate's block."""
    return gate_block(gate_numbers(result, facts, policy))


def confirm_text(result: ConfirmResult, policy: Policy = DEFAULT) -> str:
    """The confirmation's block."""
    return confirm_block(confirm_numbers(result, policy))


def gate_block(fields: Mapping[str, Any]) -> str:
    """Print what `gate_numbers` made."""
    ends = _ends(fields["low"], fields["high"], 2)
    head = (
        f"gate {fields['outcome']} ({stripped(fields['claim'], 24)})  gain {fields['gain']:+.2f}%  "
        f"[valid at any stop {ends}]  margin {fields['margin']:.2f}%  "
        f"e={_short(fields['e'])} (need {_short(fields['need'])})"
    )
    run = f"pairs {fields['pairs']} (void {fields['void']}){_facts(fields.get('facts'))}"
    rows = combo_table(fields["combos"]) if fields["pairs"] else []
    return "\n".join([head, run, *rows, *_wrapped(_after(fields))])


def confirm_block(fields: Mapping[str, Any]) -> str:
    """Print what `confirm_numbers` made."""
    ends = _ends(fields["low"], fields["high"], 2)
    head = (
        f"confirm {fields['verdict']} ({stripped(fields['claim'], 24)})  "
        f"gain {fields['gain']:+.2f}%  [{100 * fields['level']:g}% {ends}]  "
        f"margin {fields['margin']:.2f}%  pairs {fields['pairs']} (void {fields['void']})"
    )
    others = [c for c in fields["components"] if c["name"] != fields["claim"]]
    if fields["licence"]:
        others.append({**fields["licence"], "name": "long blocks"})
    beside = "  ".join(
        f"{stripped(c['name'], 24)} {c['gain']:+.2f}% [{_ends(c['low'], c['high'], 2)}]"
        for c in others
    )
    return "\n".join(
        [
            head,
            *_wrapped(f"beside it  {beside}" if beside else ""),
            *combo_table(fields["combos"]),
            *_wrapped(f"why: {stripped(fields['reason'], 400)}"),
        ]
    )


def defence_block(numbers: Mapping[str, Any]) -> str:
    """Print what `defence_numbers` made; empty where nothing was run."""
    lines = []
    if seen := numbers.get("unseen"):
        words = f"gain {seen['gain']:+.2f}%, at most {_end(seen['high'], 2)}%"
        lines.append(f"{_word(seen)}  on inputs and sizes never met before: {words}")
    if opponent := numbers.get("opponent"):
        words = f"{opponent['slowdown']:+.2f}%, at least {_end(opponent['low'], 2)}%"
        lines.append(f"{_word(opponent)}  champion slowed by running behind this kernel: {words}")
    return "\n".join(lines)


def _word(found: Mapping[str, Any]) -> str:
    return "rejected" if found["rejected"] else "defence ok"


def trial_text(record: TrialRecord, number: int | None = None) -> str:
    """A trial's block: verdict first, then who and what, then its measurements.

    Args:
        number: its row in the ledger, where it has one.
    """
    gain = ""
    if record.gain is not None:
        gain = f"  gain {record.gain:+.2f}% [{_ends(record.low, record.high, 2)}]"
    row = "" if number is None else f"  trial {number}"
    lines = _wrapped(f"verdict {record.verdict}  {stripped(record.target, 40)}{gain}{row}")
    lines += _wrapped(f"why: {stripped(record.reason, 2048)}")
    if record.hypothesis:
        lines += _wrapped(f"hypothesis {untrusted(record.hypothesis)}")
    lines += _wrapped(
        f"kernel {record.kernel[:12]}  champion {record.champion[:12]}  "
        f"by {stripped(record.agent, 40)}  kind {stripped(record.kind, 20)}"
    )
    if record.phases:
        spent = "  ".join(f"{stripped(k, 20)} {v:.2f}" for k, v in record.phases.items())
        lines += _wrapped(f"seconds {record.seconds:.2f}: {spent}")
    for key, block in (("gate", gate_block), ("confirm", confirm_block)):
        if isinstance(fields := record.numbers.get(key), Mapping):
            lines += ["", block(fields)]
    lines += defence_block(record.numbers).splitlines()
    if record.verdict is Verdict.INCORRECT and number is not None:
        again = f"./lar check {stripped(record.target, 40)} --trial {number}"
        lines += ["", f"values  {again}   (the same comparison on public inputs)"]
    return "\n".join(lines)


def _next(result: GateResult, policy: Policy) -> str:
    """What follows from the gate's word."""
    if result.outcome is Outcome.KEEP_CANDIDATE:
        return f"confirm (fresh pools, {policy.confirm_pairs} layouts)"
    if result.outcome is Outcome.CONTINUE:
        return f"another pair ({result.reason})"
    if result.outcome is Outcome.INCONCLUSIVE:
        return f"run it again ({result.reason})"
    if result.reason == NOT_PROVEN:
        return "combine it with another idea (not proven)"
    return f"another idea ({result.reason})"


def _after(fields: Mapping[str, Any]) -> str:
    return f"next: {stripped(fields['next'], 400)}"


def _facts(facts: Mapping[str, Any] | None) -> str:
    if not facts:
        return ""
    words = ""
    if facts["slices"] is not None:
        words += f"  slices {facts['slices']:,}"
    if facts["seconds"] is not None:
        words += f"  {facts['seconds']:.1f} s"
    if facts["core"] is not None:
        words += f"  core A {facts['core']}"
    if aa := facts["aa"]:
        half = 0.5 * (aa["high"] - aa["low"])
        kept = f", kept {facts['nulls_kept']}/{facts['nulls']}" if facts["nulls"] else ""
        words += f"  session A/A {aa['gain']:+.2f}% ±{half:.2f} (n={aa['n']}{kept})"
    return words


def combo_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of the combo table, from the `combos` field; with several ops names carry them."""
    several = len({r["op"] for r in rows}) > 1
    names = [
        stripped(f"{r['op']} {r['name']}" if several else r["name"], _NAME[1])
        for r in rows[:MAX_ROWS]
    ]
    width = max([_NAME[0], *map(len, names)])
    lines = [f"{'combo':{width}} {'champion':>12} {'candidate':>11}   {'gain':8}{'bound':15}guard"]
    for name, row in zip(names, rows[:MAX_ROWS], strict=True):
        gain = f"{row['gain']:+.1f}%"
        lines.append(
            f"{name:{width}} {_time(row['champion_ns']):>12} {_time(row['candidate_ns']):>11}   "
            f"{gain:7} {_ends(row['low'], row['high'], 1):14} {stripped(row['guard'], 24)}"
        )
    if len(rows) > MAX_ROWS:
        lines.append(f"... {len(rows) - MAX_ROWS} more combos")
    return lines


def _combo_numbers(row: ComboRow) -> dict[str, Any]:
    numbers = {k: _finite(v) for k, v in asdict(row).items() if k != "combo"}
    return {"op": row.combo.op, "name": row.combo.name, **numbers}


def _estimate_numbers(estimate: Estimate) -> dict[str, Any]:
    return {k: _finite(v) for k, v in asdict(estimate).items()}


def _finite(value: Any) -> Any:
    """None in place of an infinite end: JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ends(low: float | None, high: float | None, digits: int) -> str:
    """Both ends of an interval, at most 14 columns."""
    return f"{_end(low, digits)} {_end(high, digits)}"


def _end(end: float | None, digits: int) -> str:
    if end is None or not math.isfinite(end):
        return "open"
    shown = digits if abs(end) < 999 else 0
    return f"{end:+.{shown}f}" if abs(end) < 99_999 else f"{end:+.0e}"


def _short(e: float) -> str:
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


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=True)


__all__ = [
    "Facts",
    "combo_table",
    "confirm_block",
    "confirm_numbers",
    "confirm_text",
    "defence_block",
    "defence_numbers",
    "gate_block",
    "gate_numbers",
    "gate_text",
    "slices",
    "trial_numbers",
    "trial_text",
    "untrusted",
]
