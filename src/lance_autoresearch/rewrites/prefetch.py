"""Memory requested some distance ahead of its use. A prefetch never fails and changes no result.

    for chunk in data.chunks_exact(16) { f(chunk) }      the address of `chunk` plus a distance
    for i in 0..n { f(x[i]) }                            the address of `x[i]` plus a distance
    for key in keys { f(table[key.as_usize()]) }         the entry of the key that comes later
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
    is_pure,
    list_bound_names,
    list_local_names,
    list_names,
    read,
    walk,
)
from lance_autoresearch.rewrites.unroll import choose_name

if TYPE_CHECKING:
    from tree_sitter import Node

BYTES = (256, 1024, 4096)
"""Distances of memory that is read in order."""
ITEMS = (8, 32)
"""Distances of entries that are looked up: iterations."""


def find_prefetches(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Loops over memory in order, and loops that look entries up."""
    for function in kernel.functions:
        for number, loop, body in kernel.list_for_statements(function):
            start = body.start_byte + 1
            for name, address in _list_addresses(loop, body):
                for far in BYTES:
                    change = f"loop {number}, {name} by {far} bytes"
                    text = _request(f"{address}.cast::<i8>().wrapping_add({far})", f"{far} bytes")
                    step = make_step(RewriteKind.PREFETCH, function.path, change)
                    yield Rewrite(step, (Edit(start, start, text),))
            for name, keys, entry in _list_entries(loop, body):
                for far in ITEMS:
                    step = make_step(RewriteKind.PREFETCH, function.path,
                                     f"loop {number}, {name} by {far} items")
                    yield Rewrite(step, _request_entry(loop, body, name, keys, entry, far))


def _request(pointer: str, far: str) -> str:
    return (
        f'\n// rewrite {RewriteKind.PREFETCH}: {far} ahead.\n#[cfg(target_arch = "x86_64")]\n'
        "// SAFETY: a prefetch never faults, whatever its address.\nunsafe {\n"
        f"std::arch::x86_64::_mm_prefetch::<{{ std::arch::x86_64::_MM_HINT_T0 }}>({pointer}) }};\n"
    )


def _list_addresses(loop: Node, body: Node) -> Iterator[tuple[str, str]]:
    """(name, pointer) of what an iteration reads: its references, or slices at its counter."""
    pattern, value = loop.child_by_field_name("pattern"), loop.child_by_field_name("value")
    if pattern is None or value is None:
        return
    if value.type == "range_expression":
        counter = read(pattern)
        names = dict.fromkeys(
            read(n.named_children[0]) for n in walk(body)
            if n.type == "index_expression" and n.named_children[0].type == "identifier"
            and read(n.named_children[-1]) == counter
        )  # fmt: skip
        yield from ((name, f"{name}.as_ptr().wrapping_add({counter})") for name in names)
        return
    names = dict.fromkeys(sorted(_list_references(pattern)))
    yield from ((name, f"std::ptr::from_ref({name})") for name in names)


def _list_references(pattern: Node) -> set[str]:
    """Bound names that may be references: those behind `&` are values."""
    behind = [node for node in walk(pattern) if node.type == "reference_pattern"]
    values = {name for node in behind for name in list_names(node)}
    return list_bound_names(pattern) - values - {"_"}


def _list_entries(loop: Node, body: Node) -> Iterator[tuple[str, tuple[str, str], str]]:
    """(table, (keys, pattern of a key), index) of each table that is read at a key's place."""
    value, pattern = loop.child_by_field_name("value"), loop.child_by_field_name("pattern")
    first = re.match(r"&?(\w+)(?:\.iter\(\))?(?:\.zip\(|$)", read(value))
    if first is None or pattern is None:
        return
    key = pattern
    while key.type == "tuple_pattern":
        key = key.named_children[0]
    names, bound = list_bound_names(key), list_bound_names(pattern)
    local = list_local_names(body)
    for node in walk(body):
        if node.type != "index_expression" or node.named_children[0].type != "identifier":
            continue
        table, index = node.named_children[0], node.named_children[-1]
        if index.type == "range_expression":
            index = index.named_children[0]
        used = list_names(index)
        known = used & names and not used & (bound - names) and not used & local
        if known and is_pure(index) and read(table) not in bound | local:
            yield read(table), (first[1], read(key)), read(index)


def _request_entry(
    loop: Node, body: Node, table: str, keys: tuple[str, str], entry: str, far: int
) -> tuple[Edit, ...]:
    """A counter beside the loop, and the later key's entry at the head of its body."""
    whole, count = find_statement(loop), choose_name(loop, "later")
    request = _request(f"{table}.as_ptr().wrapping_add({entry}).cast::<i8>()", f"{far} items")
    head = f"let mut {count} = {far};\n"
    inside = (f"\nif let Some({keys[1]}) = {keys[0]}.get({count}) {{ {request} }}\n"
              f"{count} += 1;\n")
    start = body.start_byte + 1
    return (Edit(whole.start_byte, whole.start_byte, f"{{ {head}"), Edit(start, start, inside),
            Edit(whole.end_byte, whole.end_byte, "}"))
