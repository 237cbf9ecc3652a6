"""Iterators in place of indices, or the reverse: the compiler may see more in the other form.

    for i in 0..x.len() { f(x[i]) }       ->  for (i, &item) in x.iter().enumerate() { f(item) }
    for v in x.iter() { f(v) }            ->  for at in 0..x.len() { let v = &x[at]; f(v) }
    x.iter().for_each(|v| f(v));          ->  for v in x.iter() { f(v) }      and the reverse
    for &v in x.iter().filter(|v| c) {}   ->  for &v in x.iter() { if c {} }
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, make_step
from lance_autoresearch.rewrites.kernel_tree import (
    KernelTree,
    find_function,
    find_statement,
    has_jump,
    is_rebound,
    is_statement,
    read,
    walk,
)
from lance_autoresearch.rewrites.unroll import choose_name

if TYPE_CHECKING:
    from tree_sitter import Node

HEAD = f"// rewrite {RewriteKind.ITERATE}:"


def find_iteration(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Other forms of each `for` loop and each `for_each`."""
    for function in kernel.functions:
        for number, loop in enumerate(kernel.list_loops(function), 1):
            if loop.type != "for_expression" or not is_statement(loop):
                continue
            for form, text in _list_forms(loop):
                whole = find_statement(loop)
                step = make_step(RewriteKind.ITERATE, function.path, f"loop {number} {form}")
                yield Rewrite(step, (Edit(whole.start_byte, whole.end_byte, text),))
        calls = [n for n in walk(function.body) if n.type == "call_expression"
                 and is_statement(n) and find_function(n) == function.node]
        for number, call in enumerate(calls, 1):
            text = _open_for_each(call)
            if text:
                whole = find_statement(call)
                step = make_step(RewriteKind.ITERATE, function.path, f"call {number} as loop")
                yield Rewrite(step, (Edit(whole.start_byte, whole.end_byte, text),))


def _list_forms(loop: Node) -> Iterator[tuple[str, str]]:
    body, value = loop.child_by_field_name("body"), loop.child_by_field_name("value")
    if body is None or value is None or any(c.type == "label" for c in loop.children):
        return
    pattern = read(loop.child_by_field_name("pattern"))
    forms = (
        ("as for_each", _close_for_each(pattern, value, body)),
        ("by iterator", _use_iterator(pattern, value, body)),
        ("by index", _use_index(loop, pattern, value, body)),
        ("filter as if", _open_filter(pattern, value, body)),
    )
    yield from ((form, text) for form, text in forms if text)


def _close_for_each(pattern: str, value: Node, body: Node) -> str:
    """Internal iteration: chains and zips are walked by their own loop."""
    if has_jump(body, "break", "continue", "return"):
        return ""
    chain = read(value) if value.type == "call_expression" else f"({read(value)}).into_iter()"
    return f"{HEAD} the iterator drives the loop.\n{chain}.for_each(|{pattern}| {read(body)});"


def _open_for_each(call: Node) -> str:
    """The reverse, for a closure with one argument."""
    called, inputs = call.child_by_field_name("function"), call.child_by_field_name("arguments")
    if called is None or inputs is None or called.type != "field_expression":
        return ""
    closure = inputs.named_children[0] if len(inputs.named_children) == 1 else None
    each = read(called.child_by_field_name("field")) == "for_each"
    if not each or closure is None or closure.type != "closure_expression":
        return ""
    body, listed = closure.child_by_field_name("body"), closure.child_by_field_name("parameters")
    if body is None or listed is None or any(n.type == "return_expression" for n in walk(body)):
        return ""
    block = read(body) if body.type == "block" else f"{{ {read(body)}; }}"
    pattern = read(listed).strip("|")
    chain = read(called.child_by_field_name("value"))
    return f"{HEAD} a plain loop.\nfor {pattern} in {chain} {block}"


def _use_iterator(pattern: str, value: Node, body: Node) -> str:
    """`for i in 0..x.len()` in which `x` is only read, at `i`."""
    text = read(value)
    if not text.startswith("0..") or not text.endswith(".len()") or not pattern.isidentifier():
        return ""
    name = text[3:-6]
    uses = [n for n in walk(body) if n.type == "identifier" and read(n) == name]
    places = [n.parent for n in uses if n.parent is not None and n.parent.type == "index_expression"
              and read(n.parent.named_children[-1]) == pattern]
    written = [p for p in places if p.parent is not None and (
        p.parent.type == "reference_expression" or p.parent.child_by_field_name("left") == p)]
    if not name.isidentifier() or not places or len(places) != len(uses) or written:
        return ""
    if is_rebound(pattern, body):
        return ""
    item, inside = choose_name(body, "item"), body.text or b""
    for place in sorted(places, key=lambda node: -node.start_byte):
        start, end = place.start_byte - body.start_byte, place.end_byte - body.start_byte
        inside = inside[:start] + f"(*{item})".encode() + inside[end:]
    used = any(read(n) == pattern for n in walk(body)
               if n.type == "identifier" and n.parent not in places)
    head = f"{item} in {name}.iter()"
    if used:
        head = f"({pattern}, {item}) in {name}.iter().enumerate()"
    return f"{HEAD} an iterator instead of indices.\nfor {head} {inside.decode()}"


def _use_index(loop: Node, pattern: str, value: Node, body: Node) -> str:
    """`for v in x.iter()`, plain or with `enumerate`, by index."""
    text = read(value)
    chain = text.removesuffix(".enumerate()")
    name = chain.removesuffix(".iter()").removeprefix("&")
    if not name.isidentifier() or chain not in (f"{name}.iter()", f"&{name}"):
        return ""
    at, item = choose_name(loop, "at"), pattern
    if chain != text:
        parts = pattern.strip("()").split(",")
        if len(parts) != 2 or not parts[0].strip().isidentifier():
            return ""
        at, item = parts[0].strip(), parts[1].strip()
    inside = read(body).removeprefix("{")
    return f"{HEAD} indices.\nfor {at} in 0..{name}.len() {{ let {item} = &{name}[{at}];\n{inside}"


def _open_filter(pattern: str, value: Node, body: Node) -> str:
    """A filter at the end of the chain as a condition in the loop."""
    called, inputs = value.child_by_field_name("function"), value.child_by_field_name("arguments")
    if called is None or inputs is None or read(called.child_by_field_name("field")) != "filter":
        return ""
    closure = inputs.named_children[0] if inputs.named_children else None
    if closure is None or closure.type != "closure_expression":
        return ""
    given = read(closure.child_by_field_name("parameters")).strip("|")
    condition = read(closure.child_by_field_name("body"))
    if given != f"&{pattern}":
        return ""  # the closure sees one reference more than the loop
    chain = read(called.child_by_field_name("value"))
    head = f"{HEAD} the filter as a condition."
    return f"{head}\nfor {pattern} in {chain} {{ if {condition} {read(body)} }}"
