"""A branch turned into arithmetic: operands without effects are both evaluated.

    if a < low || a >= high { continue }   ->   if (a < low) | (a >= high) { continue }
    if c { best = x; }                     ->   best = std::hint::select_unpredictable(c, x, best);
    if c { count += x; }                   ->   count += std::hint::select_unpredictable(c, x, 0);
    if c { out[at] = x; at += 1; }         ->   out[at] = x; at += usize::from(c);

The last form writes one place behind what is kept; where that place does not exist the index
panics, and the oracle's smallest cases show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, make_step
from lance_autoresearch.rewrites.kernel_tree import (
    Function,
    KernelTree,
    find_function,
    find_statement,
    is_pure,
    is_statement,
    list_statements,
    read,
    walk,
)

if TYPE_CHECKING:
    from tree_sitter import Node

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
SELECT = "std::hint::select_unpredictable"


def find_selects(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Short-circuit conditions and `if` in every function."""
    for function in kernel.functions:
        mine = [n for n in walk(function.body) if find_function(n) == function.node]
        branches = [n for n in mine if n.type == "if_expression"]
        for number, node in enumerate(branches, 1):
            yield from _merge_condition(kernel, function, number, node)
            made = _select_statement(node) if is_statement(node) else _select_value(node)
            if made:
                form, text = made
                whole = find_statement(node) if is_statement(node) else node
                step = make_step(RewriteKind.SELECT, function.path, f"if {number}: {form}")
                yield Rewrite(step, (Edit(whole.start_byte, whole.end_byte, text),))


def _merge_condition(
    kernel: KernelTree, function: Function, number: int, node: Node
) -> Iterator[Rewrite]:
    """Both sides of `||` or `&&` evaluated: one branch instead of two."""
    condition = node.child_by_field_name("condition")
    if condition is None or condition.type != "binary_expression":
        return
    op = read(condition.child_by_field_name("operator"))
    sides = [condition.child_by_field_name(side) for side in ("left", "right")]
    if op not in ("||", "&&") or not all(side is not None and _compares(side) for side in sides):
        return
    joined = f" {op[0]} ".join(f"({read(side)})" for side in sides)
    step = make_step(RewriteKind.SELECT, function.path, f"if {number}: {op[0]}")
    start = find_statement(node) if is_statement(node) else node
    note = kernel.note_before(start, RewriteKind.SELECT, "both comparisons, one branch.")
    yield Rewrite(step, (note, Edit(condition.start_byte, condition.end_byte, joined)))


def _compares(side: Node) -> bool:
    """A comparison of plain values, or several joined in the same way."""
    if side.type == "parenthesized_expression":
        return _compares(side.named_children[0])
    return (
        side.type == "binary_expression"
        and read(side.child_by_field_name("operator")) in COMPARISONS
        and is_pure(side)
    )


def _select_statement(node: Node) -> tuple[str, str] | None:
    """(form, text) of an `if` without `else` that only assigns."""
    condition, then = _read_parts(node)
    if condition is None or then is None or node.child_by_field_name("alternative") is not None:
        return None
    statements = [n.named_children[0] for n in list_statements(then)
                  if n.type == "expression_statement"]
    if len(statements) != len(list_statements(then)):
        return None
    if len(statements) == 2:
        return _store_always(read(condition), *statements)
    return _select_assignment(read(condition), statements[0]) if len(statements) == 1 else None


def _select_assignment(condition: str, change: Node) -> tuple[str, str] | None:
    left, right = change.child_by_field_name("left"), change.child_by_field_name("right")
    if left is None or right is None or not is_pure(right):
        return None
    place, value = read(left), read(right)
    if left.type != "identifier" and not (left.type == "unary_expression" and is_pure(left)):
        return None
    note = f"// rewrite {RewriteKind.SELECT}: no branch; both values are known.\n"
    if change.type == "assignment_expression":
        return "select", f"{note}{place} = {SELECT}({condition}, {value}, {place});"
    op = read(change.child_by_field_name("operator"))
    if change.type == "compound_assignment_expr" and op in ("+=", "-=", "|=", "^="):
        return "select", f"{note}{place} {op} {SELECT}({condition}, {value}, 0);"
    return None


def _store_always(condition: str, store: Node, count: Node) -> tuple[str, str] | None:
    """`out[at] = x; at += 1;` under a condition: store always, count where it holds."""
    place, value = store.child_by_field_name("left"), store.child_by_field_name("right")
    at = count.child_by_field_name("left")
    if store.type != "assignment_expression" or count.type != "compound_assignment_expr":
        return None
    if place is None or value is None or place.type != "index_expression" or not is_pure(value):
        return None
    index = place.named_children[-1]
    one = read(count.child_by_field_name("right")) == "1"
    plus = read(count.child_by_field_name("operator")) == "+="
    if read(index) != read(at) or not one or not plus or read(at) in condition.split():
        return None
    note = f"// rewrite {RewriteKind.SELECT}: stored always, counted if it is kept.\n"
    return "store", f"{note}{read(place)} = {read(value)};\n{read(at)} += usize::from({condition});"


def _select_value(node: Node) -> tuple[str, str] | None:
    """(form, text) of `if c { a } else { b }` as a value."""
    condition, then = _read_parts(node)
    other = node.child_by_field_name("alternative")
    if condition is None or then is None or other is None:
        return None
    blocks = [then, *(n for n in other.named_children if n.type == "block")]
    values = [list_statements(block) for block in blocks]
    if len(blocks) != 2 or any(len(v) != 1 or not is_pure(v[0]) for v in values):
        return None
    first, second = (read(v[0]) for v in values)
    note = f"/* rewrite {RewriteKind.SELECT}: no branch; both values are known. */ "
    return "select", f"{note}{SELECT}({read(condition)}, {first}, {second})"


def _read_parts(node: Node) -> tuple[Node | None, Node | None]:
    """Condition and block of an `if` whose condition has no effect."""
    condition = node.child_by_field_name("condition")
    if condition is None or not is_pure(condition):
        return None, None
    return condition, node.child_by_field_name("consequence")
