"""Allocation avoided: results written into the caller's slice, buffers hoisted or reserved.

    fn make(n: usize) -> Vec<f32> {           fn make_into(n: usize, out: &mut [f32]) {
        let mut sums = vec![0.0; n];              let sums = &mut out[..n]; sums.fill(0.0);
        ...; sums }                       ->      ... }
    out.copy_from_slice(&make(n));            make_into(n, out);

    for x in xs { let mut v = Vec::new(); ... }   ->   one `v` before the loop, cleared in it
    let mut v = Vec::new(); for x in &xs { ... }  ->   Vec::with_capacity(xs.len())
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
    find_function,
    find_statement,
    is_statement,
    list_names,
    list_statements,
    read,
    walk,
)

if TYPE_CHECKING:
    from tree_sitter import Node

NOTE = f"// rewrite {RewriteKind.OUTPUT}:"
_COPY = re.compile(r"(?P<out>\w+)\.copy_from_slice\(&(?P<name>\w+)(?P<args>\(.*\))\)", re.DOTALL)
_FILLED = re.compile(r"vec!\[(?P<value>[^;\[\]]+);(?P<len>.+)\]", re.DOTALL)
_NEW = re.compile(r"Vec(::<[^()]*>)?::(new\(\)|with_capacity\(.*\))", re.DOTALL)


def find_outputs(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Vectors that are copied into an output, and vectors that are made in or for a loop."""
    for function in kernel.functions:
        yield from _write_in_place(kernel, function)
        yield from _hoist_buffers(kernel, function)
        yield from _reserve_room(function)


def _write_in_place(kernel: KernelTree, function: Function) -> Iterator[Rewrite]:
    for call in walk(function.body):
        if call.type != "call_expression" or not is_statement(call):
            continue
        match = _COPY.fullmatch(read(call))
        made = [f for f in kernel.functions if match and f.name == match["name"]]
        if match is None or len(made) != 1:
            continue
        text = _make_writer(kernel, made[0], set())
        if text:
            step = make_step(RewriteKind.OUTPUT, function.path, f"{made[0].name} in place")
            given = match["args"].rstrip(") \n").rstrip(",")
            new = f"{NOTE} no vector, no copy.\n{made[0].name}_into{given}, {match['out']})"
            if given.count("(") - given.count(")") > 1:
                continue
            end = made[0].node.end_byte
            yield Rewrite(step, (Edit(call.start_byte, call.end_byte, new), Edit(end, end, text)))


def _make_writer(kernel: KernelTree, function: Function, known: set[str]) -> str:
    """The function that writes into `out` instead of returning a vector, with those it needs.

    Empty if one of its ends is no vector of its own, no empty one and no call of such a function.
    """
    returned = function.node.child_by_field_name("return_type")
    element = re.fullmatch(r"Vec<(\w+)>", read(returned))
    named = {p.name for p in function.params or ()} | list_names(function.body)
    if element is None or returned is None or "out" in named or function.name in known:
        return ""
    known.add(function.name)
    edits: list[tuple[int, int, str]] = []
    more = ""
    for end in _list_ends(function):
        text = read(end)
        vector = _find_filled(function, end)
        called = re.match(r"(\w+)(::<[^()]*>)?\(", text)
        if vector is not None:
            value = vector.child_by_field_name("value")
            parts = _FILLED.fullmatch(read(value))
            assert parts is not None
            lent = "mut " if f"&mut {text}" in read(function.body) else ""
            fill = (f"let {lent}{text} = &mut out[..{parts['len'].strip()}];\n"
                    f"{text}.fill({parts['value'].strip()});")
            edits += [(vector.start_byte, vector.end_byte, fill),
                      (end.start_byte, end.end_byte, "")]
        elif text == "Vec::new()":
            edits.append((end.start_byte, end.end_byte, ""))
        elif end.type == "call_expression" and called:
            inner = [f for f in kernel.functions if f.name == called[1]]
            if len(inner) != 1:
                return ""
            written = "" if inner[0].name in known else _make_writer(kernel, inner[0], known)
            if not written and inner[0].name not in known:
                return ""
            more += written
            name = called[0].removesuffix("(").replace(called[1], f"{called[1]}_into", 1)
            rest = text[len(called[0]):].rstrip(") \n").rstrip(",")
            edits.append((end.start_byte, end.end_byte, f"{name}({rest}, out)"))
        elif end.type != "macro_invocation":
            return ""
    return f"\n\n{_edit_function(function, returned, element[1], edits)}{more}"


def _edit_function(
    function: Function, returned: Node, element: str, edits: list[tuple[int, int, str]]
) -> str:
    start, listed = function.node.start_byte, function.node.child_by_field_name("parameters")
    assert listed is not None and function.node.text is not None
    name = function.node.child_by_field_name("name")
    assert name is not None
    comma = "" if read(listed).rstrip(") \n").endswith((",", "(")) else ","
    arrow = function.node.text[: returned.start_byte - start].rfind(b"->") + start
    all_edits = [
        (name.end_byte, name.end_byte, "_into"),
        (listed.end_byte - 1, listed.end_byte - 1, f"{comma} out: &mut [{element}]"),
        (arrow, returned.end_byte, ""), *edits,
    ]  # fmt: skip
    text = function.node.text
    for first, last, new in sorted(set(all_edits), reverse=True):
        text = text[: first - start] + new.encode() + text[last - start :]
    return f"{NOTE} as `{function.name}`, into the caller's slice.\n{text.decode()}"


def _list_ends(function: Function) -> Iterator[Node]:
    """Expressions whose value the function returns."""
    for node in walk(function.body):
        if node.type == "return_expression" and node.named_children:
            yield node.named_children[0]
    stack = [function.body]
    while stack:
        node = stack.pop()
        if node.type == "block":
            stack += list_statements(node)[-1:]
        elif node.type == "match_expression":
            body = node.child_by_field_name("body")
            arms = body.named_children if body is not None else []
            stack += [a for arm in arms if (a := arm.child_by_field_name("value")) is not None]
        elif node.type == "expression_statement" and not read(node).endswith(";"):
            stack += node.named_children
        elif node.type == "if_expression":
            parts = [node.child_by_field_name(n) for n in ("consequence", "alternative")]
            stack += [part for part in parts if part is not None]
        elif node.type == "else_clause":
            stack += node.named_children
        elif node.type != "return_expression":
            yield node


def _find_filled(function: Function, end: Node) -> Node | None:
    """The declaration of the name at an end, if it is `let mut NAME = vec![VALUE; LEN]`."""
    found = [
        let for let in walk(function.body)
        if let.type == "let_declaration" and let.parent is not None
        and read(let.child_by_field_name("pattern")) == read(end)
        and let.end_byte <= end.start_byte and end.end_byte <= let.parent.end_byte
    ]
    last = max(found, key=lambda let: let.start_byte, default=None)
    filled = last is not None and _FILLED.fullmatch(read(last.child_by_field_name("value")))
    return last if filled else None


def _hoist_buffers(kernel: KernelTree, function: Function) -> Iterator[Rewrite]:
    """A vector that each iteration makes and lets go."""
    for number, loop in enumerate(kernel.list_loops(function), 1):
        body = loop.child_by_field_name("body")
        if body is None or not is_statement(loop):
            continue
        for let in body.named_children:
            value, name = read(let.child_by_field_name("value")), let.child_by_field_name("pattern")
            if let.type != "let_declaration" or not _NEW.fullmatch(value):
                continue
            if re.search(rf"[=(,]\s*{read(name)}\s*[;,)]", read(body)):
                continue  # moved out: the next iteration needs another one
            whole = find_statement(loop)
            plain = let.child_by_field_name("type")
            kind = f": {read(plain)}" if plain is not None else ""
            head = (f"{NOTE} one buffer for all iterations.\n"
                    f"let mut {read(name)}{kind} = Vec::new();\n")
            edits = (Edit(whole.start_byte, whole.start_byte, head),
                     Edit(let.start_byte, let.end_byte, f"{read(name)}.clear();"))
            change = f"loop {number}, {read(name)} hoisted"
            yield Rewrite(make_step(RewriteKind.OUTPUT, function.path, change), edits)


def _reserve_room(function: Function) -> Iterator[Rewrite]:
    """An empty vector in front of a loop that pushes into it."""
    for let in walk(function.body):
        value, above = let.child_by_field_name("value"), let.parent
        if let.type != "let_declaration" or value is None or above is None:
            continue
        if read(value) != "Vec::new()" or find_function(let) != function.node:
            continue
        name = read(let.child_by_field_name("pattern"))
        for later in above.named_children:
            loop = later.named_children[0] if later.type == "expression_statement" else later
            source = loop.child_by_field_name("value")
            pushes = loop.type == "for_expression" and f"{name}.push(" in read(loop)
            items = re.match(r"&?(\w+)(\.iter\(\))?", read(source))
            if later.start_byte > let.end_byte and pushes and items:
                step = make_step(RewriteKind.OUTPUT, function.path, f"{name} reserved")
                room = f"/* rewrite {RewriteKind.OUTPUT}: room at once. */ "
                text = f"{room}Vec::with_capacity({items[1]}.len())"
                yield Rewrite(step, (Edit(value.start_byte, value.end_byte, text),))
                break
