"""Several iterations a round: in their order, or with an accumulator for each.

    for x in xs { sum ^= f(x); }   ->   let mut items = xs.into_iter();
                                        for _ in 0..items.len() / 4 { four times: next, body }
                                        for x in items { sum ^= f(x); }

The order of iterations stays, so any loop may be unrolled. Accumulators change the order of a
reduction: only of integers, of `min` and `max`, or where the target says that rounding is free.
An addition of floats does not compile in the form chosen for integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, make_step
from lance_autoresearch.rewrites.kernel_tree import (
    KernelTree,
    find_statement,
    has_jump,
    list_jumps,
    list_names,
    list_statements,
    read,
)

if TYPE_CHECKING:
    from tree_sitter import Node

TIMES = (2, 4, 8)
LONGEST = 30
"""Lines of a loop's body; a longer one gains nothing from copies."""


class Reduction(NamedTuple):
    """`acc OP= value`, or `acc = acc.min(value)`."""

    acc: str
    op: str
    """`+=`, `|=`, `&=`, `^=`, `min`, `max`."""
    value: str


def find_unrolling(kernel: KernelTree, facts: Facts) -> Iterator[Rewrite]:
    """Every `for` loop by 2, 4 and 8; reductions with accumulators too."""
    for function in kernel.functions:
        for number, loop, body in kernel.list_for_statements(function):
            for times in TIMES:
                made = [("", _repeat_body(loop, body, times)),
                        (" lanes", _split_lanes(loop, body, times, facts))]
                for form, text in made:
                    if text:
                        step = make_step(RewriteKind.UNROLL, function.path,
                                         f"loop {number} by {times}{form}")
                        whole = find_statement(loop)
                        yield Rewrite(step, (Edit(whole.start_byte, whole.end_byte, text),))


def choose_name(loop: Node, name: str) -> str:
    """A name that the loop does not use."""
    used = list_names(loop)
    while name in used:
        name += "_"
    return name


def _repeat_body(loop: Node, body: Node, times: int) -> str:
    """The loop with its body several times; empty: it cannot be done."""
    text, jumps = read(body), list(list_jumps(body, "continue"))
    labelled = any(child.type == "label" for node in (loop, *jumps) for child in node.children)
    long = text.count("\n") > LONGEST
    if labelled or long or has_jump(body, "break") or not list_statements(body):
        return ""
    pattern, items = read(loop.child_by_field_name("pattern")), choose_name(loop, "items")
    once = _make_copy(body)
    copies = "\n".join(
        f"let Some({pattern}) = {items}.next() else {{ break }};\n{once}" for _ in range(times)
    )
    return (
        f"{{\n// rewrite {RewriteKind.UNROLL}: {times} iterations a round, in the same order.\n"
        f"let mut {items} = {_open_iterator(loop)};\n"
        f"for _ in 0..{items}.len() / {times} {{\n{copies}\n}}\n"
        f"for {pattern} in {items} {text}\n}}"
    )


def _make_copy(body: Node) -> str:
    """One copy of a body: a `continue` of the loop leaves the copy."""
    jumps = sorted(list_jumps(body, "continue"), key=lambda node: -node.start_byte)
    text = body.text or b""
    for jump in jumps:
        start = jump.start_byte - body.start_byte
        text = text[:start] + b"break 'item" + text[jump.end_byte - body.start_byte :]
    return f"'item: {text.decode()};" if jumps else text.decode()


def _open_iterator(loop: Node) -> str:
    value = loop.child_by_field_name("value")
    simple = value is not None and value.type in ("identifier", "call_expression")
    return f"{read(value)}.into_iter()" if simple else f"({read(value)}).into_iter()"


def _split_lanes(loop: Node, body: Node, times: int, facts: Facts) -> str:
    """A reduction with an accumulator for each of some iterations; empty: it is none."""
    statements = list_statements(body)
    found = read_reduction(statements[0]) if len(statements) == 1 else None
    if found is None or found.acc in list_names(loop.child_by_field_name("value")):
        return ""
    pattern, items = read(loop.child_by_field_name("pattern")), choose_name(loop, "items")
    lanes = [found.acc, *(choose_name(loop, f"lane{i}") for i in range(1, times))]
    begin = _begin_lane(found, facts)
    lets = "\n".join(f"let mut {lane} = {begin};" for lane in lanes[1:])
    take = f"let Some({pattern}) = {items}.next() else {{ break }};"
    copies = "\n".join(f"{take}\n{_add_to(lane, found, found.value)}" for lane in lanes)
    ends = "\n".join(_add_to(found.acc, found, lane) for lane in lanes[1:])
    return (
        f"{{\n// rewrite {RewriteKind.UNROLL}: {times} accumulators; their order does not matter.\n"
        f"{lets}\nlet mut {items} = {_open_iterator(loop)};\n"
        f"for _ in 0..{items}.len() / {times} {{\n{copies}\n}}\n"
        f"for {pattern} in {items} {read(body)}\n{ends}\n}}"
    )


def _begin_lane(found: Reduction, facts: Facts) -> str:
    """What a further accumulator begins with: nothing, or the first one again."""
    if found.op == "+=" and facts.reorders_floats:
        return "Default::default()"
    if found.op == "+=":
        return f"{found.acc}.wrapping_sub({found.acc})"
    return f"{found.acc} ^ {found.acc}" if found.op == "^=" else found.acc


def _add_to(lane: str, found: Reduction, value: str) -> str:
    if found.op in ("min", "max"):
        return f"{lane} = {lane}.{found.op}({value});"
    return f"{lane} {found.op} {value};"


def read_reduction(statement: Node) -> Reduction | None:
    """A statement as a reduction into a plain variable, or None."""
    node = statement.named_children[0] if statement.type == "expression_statement" else statement
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None or left.type != "identifier":
        return None
    acc = read(left)
    if node.type == "compound_assignment_expr":
        op = read(node.child_by_field_name("operator"))
        jumps = has_jump(right, "break", "continue", "return")
        if op in ("+=", "|=", "&=", "^=") and acc not in list_names(right) and not jumps:
            return Reduction(acc, op, read(right))
    if node.type == "assignment_expression" and right.type == "call_expression":
        inputs = right.child_by_field_name("arguments")
        values = [] if inputs is None else inputs.named_children
        op = read(right.child_by_field_name("function")).removeprefix(f"{acc}.")
        if op in ("min", "max") and len(values) == 1 and acc not in list_names(inputs):
            return Reduction(acc, op, read(values[0]))
    return None
