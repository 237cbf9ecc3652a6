"""Nested loops: inner rows taken a tile at a time, or both loops interchanged.

    for (i, column) in columns.enumerate() {       for first in (0..sums.len()).step_by(1024) {
        for (s, c) in sums.iter_mut().zip(column)      for (i, column) in ... {
            { *s += t[i][c] }                  ->          the same over `sums[first..last]`

A tile keeps what the inner loop writes in the first-level cache. Each written place sees its
additions in the same order as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, make_step
from lance_autoresearch.rewrites.kernel_tree import (
    KernelTree,
    find_statement,
    has_jump,
    list_bound_names,
    list_local_names,
    list_names,
    list_statements,
    read,
    walk,
)

if TYPE_CHECKING:
    from tree_sitter import Node

ROWS = (256, 1024, 4096)
"""Rows of a tile: 1, 4 and 16 KiB of f32."""
_START = re.compile(r"(?P<name>\w+)(?P<how>\s*\.iter(?:_mut)?\(\))")
_ZIP = re.compile(r"\.zip\((?P<ref>&mut |&)?(?P<name>\w+)(?P<how>\.iter(?:_mut)?\(\))?\)")
_REPEATABLE = frozenset(re.findall(
    r"\w+", "iter iter_mut zip enumerate chunks chunks_exact windows rev skip take step_by copied "
    "cloned len as_chunks",
))  # fmt: skip
"""Methods whose iterator may be made again for each tile."""


def find_nests(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Tiles of the last inner loop, and the interchange of two loops with nothing in between."""
    for function in kernel.functions:
        for number, loop, body in kernel.list_for_statements(function):
            whole = find_statement(loop)
            forms = [(f"tiles of {rows}", _tile(loop, body, rows)) for rows in ROWS]
            for form, text in [*forms, ("interchanged", _interchange(loop, body))]:
                if text:
                    step = make_step(RewriteKind.NEST, function.path, f"loop {number} {form}")
                    yield Rewrite(step, (Edit(whole.start_byte, whole.end_byte, text),))


def _is_repeatable(node: Node) -> bool:
    """Whether an iterator may be made again: plain names, ranges and methods without effects."""
    for inner in walk(node):
        if inner.type in ("closure_expression", "macro_invocation", "try_expression"):
            return False
        if inner.type == "call_expression":
            called = inner.child_by_field_name("function")
            method = called.child_by_field_name("field") if called is not None else None
            if read(method) not in _REPEATABLE:
                return False
    return True


def _find_inner(body: Node) -> tuple[Node, Node] | None:
    """(last statement, iterator) of a body that ends in a loop and else only declares."""
    statements = list_statements(body)
    if not statements:
        return None
    *before, last = statements
    inner = last.named_children[0] if last.type == "expression_statement" else last
    plain = all(s.type == "let_declaration" or _is_macro(s) for s in before)
    if not plain or any(has_jump(s, "return", "break", "continue") for s in statements):
        return None
    if inner.type == "for_expression":
        value = inner.child_by_field_name("value")
        return None if value is None else (last, value)
    called = inner.child_by_field_name("function") if inner.type == "call_expression" else None
    if called is None or read(called.child_by_field_name("field")) != "for_each":
        return None
    value = called.child_by_field_name("value")
    return None if value is None else (last, value)


def _is_macro(statement: Node) -> bool:
    inner = statement.named_children[0] if statement.named_children else statement
    return "macro_invocation" in (statement.type, inner.type)


def _tile(loop: Node, body: Node, rows: int) -> str:
    outer, found = loop.child_by_field_name("value"), _find_inner(body)
    if outer is None or found is None or not _is_repeatable(outer):
        return ""
    _, value = found
    chain = "".join(read(value).split())
    start = _START.match(chain)
    zips = list(_ZIP.finditer(chain))
    if start is None or start[0] + "".join(z[0] for z in zips) != chain:
        return ""
    bound = list_bound_names(loop.child_by_field_name("pattern")) | list_local_names(body)
    names = [start["name"], *(z["name"] for z in zips)]
    shared = [name for name in names if name not in bound]
    if not shared:
        return ""
    tiled = _START.sub(lambda m: f"{m['name']}[first..last]{m['how']}", chain, count=1)
    tiled = _ZIP.sub(_cut_zip, tiled)
    head, tail = value.start_byte - body.start_byte, value.end_byte - body.start_byte
    raw = body.text or b""
    inside = (raw[:head] + tiled.encode() + raw[tail:]).decode()
    pattern = read(loop.child_by_field_name("pattern"))
    return (
        f"{{\n// rewrite {RewriteKind.NEST}: {rows} rows at a time, which stay in the cache.\n"
        f"let rows = {shared[0]}.len();\nfor first in (0..rows).step_by({rows}) {{\n"
        f"let last = (first + {rows}).min(rows);\n"
        f"for {pattern} in {read(outer)} {inside}\n}}\n}}"
    )


def _cut_zip(match: re.Match[str]) -> str:
    how = match["how"] or ""
    mark = "" if how else (match["ref"] or "&")
    return f".zip({mark}{match['name']}[first..last]{how})"


def _interchange(loop: Node, body: Node) -> str:
    """Two loops, one directly inside the other, of which neither needs the other's names."""
    statements = list_statements(body)
    inner = statements[0] if len(statements) == 1 else None
    if inner is not None and inner.type == "expression_statement":
        inner = inner.named_children[0]
    if inner is None or inner.type != "for_expression":
        return ""
    inside = inner.child_by_field_name("body")
    values = [node.child_by_field_name("value") for node in (loop, inner)]
    patterns = [node.child_by_field_name("pattern") for node in (loop, inner)]
    if inside is None or has_jump(inside, "break", "return") or None in (*values, *patterns):
        return ""
    labels = any(child.type == "label" for node in (loop, inner) for child in node.children)
    if labels or not all(value is not None and _is_repeatable(value) for value in values):
        return ""
    if list_bound_names(patterns[0]) & list_names(values[1]):
        return ""
    if list_bound_names(patterns[1]) & (list_names(values[0]) | list_bound_names(patterns[0])):
        return ""
    return (
        f"// rewrite {RewriteKind.NEST}: the loops interchanged.\n"
        f"for {read(patterns[1])} in {read(values[1])} {{\n"
        f"for {read(patterns[0])} in {read(values[0])} {read(inside)}\n}}"
    )
