"""Bounds checks removed: by a slice of known length, by an assertion, by arrays.

    for i in 0..n { f(x[i]) }     ->  { let x = &x[..n]; for i in 0..n { f(x[i]) } }
                                  ->  { assert!(n <= x.len()); for i in 0..n { f(unchecked) } }
    table[usize::from(code)]      ->  behind assert!(table.len() > 255), before the loop
    data.chunks_exact(8)          ->  data.as_chunks::<8>().0.iter()

`get_unchecked` stands only behind an assertion that this module inserts and that implies the bound.
The length of what is indexed cannot change in between: it is a slice behind a reference. A table is
read by a byte, which the conversion `u8::from` makes rustc prove.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, make_step
from lance_autoresearch.rewrites.kernel_tree import (
    Function,
    KernelTree,
    count_bindings,
    find_function,
    find_statement,
    is_pure,
    is_rebound,
    is_statement,
    list_names,
    read,
    walk,
)

if TYPE_CHECKING:
    from tree_sitter import Node

BYTE = re.compile(r"usize::from\((?P<from>.+)\)|(?P<as>[\w.*()]+) as usize", re.DOTALL)

_SLICE = re.compile(r"&('\w+ )?(mut )?\[.*\]", re.DOTALL)


def find_bounds(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Index loops, tables read by a byte, and chunks of a constant size."""
    for function in kernel.functions:
        for number, loop in enumerate(kernel.list_loops(function), 1):
            yield from _bound_index_loop(function, number, loop)
        yield from _read_by_byte(kernel, function)
        yield from _cut_into_arrays(function)


def is_slice_reference(function: Function, name: str) -> bool:
    """Whether a name is bound once, to a reference whose length cannot change."""
    bound = [
        node for node in walk(function.body)
        if node.type == "let_declaration" and read(node.child_by_field_name("pattern")) == name
    ]
    types = [p.type for p in function.params or () if p.name == name]
    bindings = count_bindings(name, function.body)
    if types:
        return not bindings and _SLICE.fullmatch(types[0]) is not None
    value = bound[0].child_by_field_name("value") if len(bound) == bindings == 1 else None
    if value is None or value.type != "reference_expression":
        return False
    inner = value.named_children[-1]
    return inner.type == "index_expression" or not read(value).startswith("&mut")


def _bound_index_loop(function: Function, number: int, loop: Node) -> Iterator[Rewrite]:
    """`for i in a..b` in which slices are read or written at `i`."""
    body, value = loop.child_by_field_name("body"), loop.child_by_field_name("value")
    counter = read(loop.child_by_field_name("pattern"))
    if loop.type != "for_expression" or body is None or value is None or not is_statement(loop):
        return
    ends = value.named_children
    plain = value.type == "range_expression" and len(ends) == 2 and "..=" not in read(value)
    if not plain or not is_pure(ends[1]) or not counter.isidentifier():
        return
    end, whole = read(ends[1]), find_statement(loop)
    for name, places in _list_indexed(body, counter).items():
        if not is_slice_reference(function, name) or is_rebound(name, body):
            continue
        if is_rebound(counter, body):
            continue
        change = f"loop {number}, {name}"
        written = any(map(_is_written, places))
        mark = "&mut " if written else "&"
        head = (f"{{\n// rewrite {RewriteKind.BOUNDS}: of known length, so no index is checked.\n"
                f"let {name} = {mark}{name}[..{end}];\n")
        around = (Edit(whole.start_byte, whole.start_byte, head),
                  Edit(whole.end_byte, whole.end_byte, "\n}"))
        yield Rewrite(make_step(RewriteKind.BOUNDS, function.path, f"{change} as slice"), around)
        note = f"// rewrite {RewriteKind.BOUNDS}: the assertion covers each unchecked index.\n"
        head = f"{note}assert!({end} <= {name}.len());\n"
        edits = [Edit(whole.start_byte, whole.start_byte, head)]
        edits += [_uncheck(place, name, counter, written=_is_written(place)) for place in places]
        step = make_step(RewriteKind.BOUNDS, function.path, f"{change} unchecked")
        yield Rewrite(step, tuple(edits))


def _list_indexed(body: Node, counter: str) -> dict[str, list[Node]]:
    """Names that are indexed by exactly the counter, with their places."""
    found: dict[str, list[Node]] = {}
    for node in walk(body):
        if node.type == "index_expression" and len(node.named_children) == 2:
            name, index = node.named_children
            if name.type == "identifier" and read(index) == counter:
                found.setdefault(read(name), []).append(node)
    return found


def _is_written(place: Node) -> bool:
    """Whether an indexed place is assigned or borrowed mutably."""
    above = place.parent
    if above is None:
        return False
    if above.type in ("assignment_expression", "compound_assignment_expr"):
        return above.child_by_field_name("left") == place
    return above.type == "reference_expression" and read(above).startswith("&mut")


def _uncheck(place: Node, name: str, index: str, *, written: bool) -> Edit:
    method = "get_unchecked_mut" if written else "get_unchecked"
    text = f"(*unsafe {{ {name}.{method}({index}) }})"
    return Edit(place.start_byte, place.end_byte, text)


def _read_by_byte(kernel: KernelTree, function: Function) -> Iterator[Rewrite]:
    """Tables that are read at a byte, anywhere in a function."""
    found: dict[str, list[tuple[Node, str]]] = {}
    for node in walk(function.body):
        if node.type != "index_expression" or len(node.named_children) != 2:
            continue
        name, index = node.named_children
        match = BYTE.fullmatch(read(index))
        mine = name.type == "identifier" and find_function(node) == function.node
        if match and mine and is_pure(index) and not _is_written(node):
            found.setdefault(read(name), []).append((node, match["from"] or match["as"]))
    for table, reads in found.items():
        if not is_slice_reference(function, table):
            continue
        start = _find_assertion_place(function, table)
        note = f"// rewrite {RewriteKind.BOUNDS}: a byte is below 256: the assertion covers it.\n"
        edits = [Edit(start, start, f"\n{note}assert!({table}.len() > 255);\n")]
        edits += [_uncheck(node, table, f"usize::from(u8::from({code}))", written=False)
                  for node, code in reads]
        step = make_step(RewriteKind.BOUNDS, function.path, f"{table} by byte")
        yield Rewrite(step, tuple(edits))


def _find_assertion_place(function: Function, name: str) -> int:
    """Behind the binding of a name: its `let`, or the beginning of the function."""
    for node in walk(function.body):
        if node.type == "let_declaration" and read(node.child_by_field_name("pattern")) == name:
            return node.end_byte
    return function.body.start_byte + 1


def _cut_into_arrays(function: Function) -> Iterator[Rewrite]:
    """`chunks_exact(8)` as arrays of eight."""
    calls = [n for n in walk(function.body)
             if n.type == "call_expression" and find_function(n) == function.node]
    for number, node in enumerate(calls, 1):
        called, inputs = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if called is None or inputs is None or called.type != "field_expression":
            continue
        method, sizes = read(called.child_by_field_name("field")), inputs.named_children
        if method not in ("chunks_exact", "chunks_exact_mut") or len(sizes) != 1:
            continue
        size = read(sizes[0])
        if not (size.isdecimal() or (size.isupper() and not list_names(sizes[0]) - {size})):
            continue
        more = "_mut" if method.endswith("_mut") else ""
        value = called.child_by_field_name("value")
        note = f"/* rewrite {RewriteKind.BOUNDS}: arrays of known length. */ "
        text = f"{note}{read(value)}.as_chunks{more}::<{{ {size} }}>().0.iter{more}()"
        step = make_step(RewriteKind.BOUNDS, function.path, f"call {number} as arrays of {size}")
        yield Rewrite(step, (Edit(node.start_byte, node.end_byte, text),))
