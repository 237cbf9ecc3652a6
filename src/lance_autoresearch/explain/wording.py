"""An explanation in words: a short form of at most 40 lines, and a long one with the assembly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lance_autoresearch.explain.explanation import Explanation, OpSides, list_facts
from lance_autoresearch.explain.headroom import Headroom
from lance_autoresearch.explain.loops import LoopFacts, OpCode

SHORT_LINES = 40
SHOWN_LOOPS = 2
LONG_LOOPS = 6
HEADROOM = "headroom:"
"""Begins the part about memory."""


def write_explanation(found: Explanation, names: tuple[str, str], *, long: bool) -> list[str]:
    """Lines to print.

    Args:
        names: of the kernel and of the other one.
        long: with the assembly of the first loops, and their difference.
    """
    loops = LONG_LOOPS if long else SHOWN_LOOPS
    where = f"on {found.cpu_kind}, tier {found.tier}"
    lines = [f"explain {found.target}: {names[0]} beside {names[1]}, {where}",
             "Loops come by nesting and vector width, not by measured time.", ""]
    for sides in found.ops.values():
        lines += _write_op(sides, names, loops)
        if long:
            lines += _write_code(sides, names)
    if found.headroom:
        lines += write_headroom(found.headroom)
    else:
        lines.append(f"{HEADROOM} not measured ({found.not_measured})")
    return lines if long or len(lines) <= SHORT_LINES else _shorten(lines)


def _shorten(lines: list[str]) -> list[str]:
    cut = len(lines) - SHORT_LINES + 1
    return [*lines[: SHORT_LINES - 1], f"... {cut} more lines: --long"]


def _write_op(sides: OpSides, names: tuple[str, str], loops: int) -> Iterator[str]:
    yield f"{sides.kernel.op}"
    for name, code in zip(names, (sides.kernel, sides.other), strict=True):
        yield f"  {name}: {code.instructions:,} instructions in {len(code.functions)} functions"
        if sides.same and code is sides.other:
            yield "    the same loops"
            continue
        yield from (f"    {_write_loop(loop)}" for loop in code.loops[:loops])
        if not code.loops:
            yield f"    {_explain_no_loops(code)}"
    for _, answers in sides.models:
        for answer in answers:
            if answer.cycles is None:
                yield f"  {answer.tool} (model, not measured): {answer.limit}"
                continue
            yield (f"  {answer.tool} (model, not measured): first loop {answer.cycles:.1f} cycles "
                   f"a turn, limited by {answer.limit}")  # fmt: skip


def _explain_no_loops(code: OpCode) -> str:
    if not code.functions:
        return "no function of its own: it was inlined into its caller, or this tier has none"
    return "no loop"


def _write_loop(loop: LoopFacts) -> str:
    return f"{_write_place(loop)}: {', '.join(list_facts(loop))}"


def _write_place(loop: LoopFacts) -> str:
    if loop.lines is None:
        return loop.function
    first, last = loop.lines
    lines = f"line {first}" if first == last else f"lines {first} to {last}"
    return f"{loop.function}, {lines}"


def _write_code(sides: OpSides, names: tuple[str, str]) -> Iterator[str]:
    if sides.kernel.loops:
        yield f"  first loop of {names[0]}:"
        yield from (f"    {text}" for text in sides.kernel.loops[0].body)
    if not sides.same:
        yield f"  from the first loop of {names[1]} to that of {names[0]}:"
        yield from (f"    {text}" for text in sides.compare_first_loops())
    yield ""


def write_headroom(rows: Sequence[Headroom]) -> list[str]:
    """A heading and one line a combo, the largest distance first."""
    width = max((len(row.label) for row in rows), default=0)
    return [
        f"{HEADROOM} time of a call beside reading all inputs and writing all outputs, measured",
        *(f"  {row.label:{width}} {row.kernel_ns:11,.0f} ns {row.memory_ns:11,.0f} ns "
          f"{row.factor:6.2f}x  {_judge_headroom(row)}".rstrip()
          for row in sorted(rows, key=lambda row: -row.factor)),
    ]  # fmt: skip


def _judge_headroom(row: Headroom) -> str:
    if row.factor < 1.0:
        return "at the limit, or not all inputs are needed"
    return "little left" if row.little_left else ""


def convert_to_json(found: Explanation, names: tuple[str, str]) -> dict[str, Any]:
    """The explanation as one JSON object."""
    return {
        "v": 1,
        "target": found.target,
        "cpu_kind": found.cpu_kind,
        "tier": found.tier,
        "kernel": names[0],
        "other": names[1],
        "ops": {name: _convert_op(sides) for name, sides in found.ops.items()},
        "headroom": [
            {"combo": row.label, "kernel_ns": row.kernel_ns, "memory_ns": row.memory_ns}
            for row in found.headroom
        ],
        "not_measured": found.not_measured,
    }


def _convert_op(sides: OpSides) -> dict[str, Any]:
    return {
        "same_loops": sides.same,
        "kernel": _convert_code(sides.kernel),
        "other": _convert_code(sides.other),
        "difference": sides.compare_first_loops(),
        "models": [
            {"tool": a.tool, "cycles": a.cycles, "limit": a.limit, "measured": False}
            for _, answers in sides.models for a in answers
        ],
    }  # fmt: skip


def _convert_code(code: OpCode) -> dict[str, Any]:
    return {
        "functions": list(code.functions),
        "instructions": code.instructions,
        "loops": [
            {
                "function": loop.function, "lines": loop.lines, "depth": loop.depth,
                "vector_bits": loop.vector_bits, "instructions": loop.instructions,
                "step_bytes": loop.step_bytes, "loads": loop.loads, "stores": loop.stores,
                "spills": loop.spills, "calls": list(loop.callees), "checks": loop.checks,
                "gathers": loop.gathers, "body": list(loop.body),
            }
            for loop in code.loops[:LONG_LOOPS]
        ],
    }  # fmt: skip
