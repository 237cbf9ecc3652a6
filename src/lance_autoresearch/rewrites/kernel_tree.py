"""A kernel as the kinds of rewrites see it: functions, loops, bindings, and what is pure.

    kernel = KernelTree(text)
    for function in kernel.functions: ...
    for loop in kernel.list_loops(function): ...

It knows syntax only. What needs names or types is proposed, and rustc refuses what was guessed
wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lance_autoresearch.oracle.syntax import load_parser
from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit

if TYPE_CHECKING:
    from tree_sitter import Node

LOOPS = ("for_expression", "while_expression", "loop_expression")
PURE_METHODS = frozenset((
    "len", "is_empty", "to_bits", "min", "max", "abs", "is_nan", "count_ones", "leading_zeros",
    "trailing_zeros", "wrapping_add", "wrapping_sub", "wrapping_mul", "as_usize", "is_none",
    "is_some",
))  # fmt: skip
"""Methods of std, and arrow's `as_usize`, that read their operands and do nothing else."""
PURE_NODES = frozenset((
    "identifier", "self", "integer_literal", "float_literal", "boolean_literal", "char_literal",
    "field_identifier", "primitive_type", "type_identifier", "scoped_identifier",
    "parenthesized_expression", "field_expression", "type_cast_expression", "binary_expression",
    "unary_expression", "reference_expression",
))  # fmt: skip
CONVERSIONS = re.compile(r"(usize|u8|u16|u32|u64|u128|i16|i32|i64|i128|f32|f64)::from")
"""Calls that only convert."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter with a plain name."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method with a body."""

    path: str
    name: str
    node: Node
    body: Node
    params: tuple[Param, ...] | None
    """None: one is a pattern or `self`."""
    attributes: tuple[Node, ...]

    def has_attribute(self, word: str) -> bool:
        """Whether an attribute contains the word."""
        return any(word in read(node) for node in self.attributes)


def read(node: Node | None) -> str:
    """Source text of a node, empty for None."""
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, in source order."""
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        stack += reversed(here.children)


class KernelTree:
    """A parsed kernel."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.root = load_parser().parse(text).root_node
        self.functions = tuple(self._find_functions())

    def _find_functions(self) -> Iterator[Function]:
        for node in walk(self.root):
            body = node.child_by_field_name("body")
            if node.type == "function_item" and body is not None and not node.has_error:
                name = read(node.child_by_field_name("name"))
                yield Function(
                    _find_path(node, name), name, node, body, _read_params(node),
                    tuple(_list_attributes(node)),
                )

    def list_loops(self, function: Function) -> list[Node]:
        """The loops of a function, not those of functions inside it, in source order."""
        return [node for node in walk(function.body)
                if node.type in LOOPS and find_function(node) == function.node]

    def list_for_statements(self, function: Function) -> Iterator[tuple[int, Node, Node]]:
        """(number among all loops, loop, body) of each `for` that stands as a statement."""
        for number, loop in enumerate(self.list_loops(function), 1):
            body = loop.child_by_field_name("body")
            if loop.type == "for_expression" and body is not None and is_statement(loop):
                yield number, loop, body

    def list_calls(self, name: str) -> list[Node]:
        """Calls of a function or method by its name."""
        found = []
        for node in walk(self.root):
            if node.type != "call_expression":
                continue
            called = node.child_by_field_name("function")
            if called is not None and read(called).split("<")[0].rstrip(":").endswith(name):
                last = re.findall(r"\w+", re.sub(r"::<.*", "", read(called), flags=re.DOTALL))
                if last and last[-1] == name:
                    found.append(node)
        return found

    def note_before(self, node: Node, kind: RewriteKind, what: str) -> Edit:
        """A comment in front of a node that says what was done; an earlier one of its kind goes."""
        start = node.start_byte
        head = f"// rewrite {kind}: {what}\n"
        before = node.prev_sibling
        old = before is not None and read(before).startswith(f"// rewrite {kind}:")
        if before is not None and old:
            return Edit(before.start_byte, before.end_byte, head.rstrip("\n"))
        return Edit(start, start, head)


def find_function(node: Node) -> Node | None:
    """The innermost function around a node."""
    above = node.parent
    while above is not None and above.type != "function_item":
        above = above.parent
    return above


def find_statement(node: Node) -> Node:
    """The node itself, or the expression statement that consists of it."""
    above = node.parent
    return above if above is not None and above.type == "expression_statement" else node


def is_statement(node: Node) -> bool:
    """Whether a loop or branch stands as a statement of a block: its value is not used."""
    above = find_statement(node).parent
    return above is not None and above.type == "block"


def list_statements(block: Node) -> list[Node]:
    """What stands in a block, without comments."""
    return [node for node in block.named_children if not node.type.endswith("_comment")]


def list_names(node: Node | None) -> set[str]:
    """Identifiers in an expression or pattern."""
    if node is None:
        return set()
    return {read(n) for n in walk(node) if n.type in ("identifier", "shorthand_field_identifier")}


def list_bound_names(pattern: Node | None) -> set[str]:
    """Names that a pattern binds: identifiers that begin with a small letter."""
    return {name for name in list_names(pattern) if name[:1].islower() or name[:1] == "_"}


def list_local_names(body: Node) -> set[str]:
    """Names that a `let` inside binds."""
    return {name for let in walk(body) if let.type == "let_declaration"
            for name in list_bound_names(let.child_by_field_name("pattern"))}


def is_rebound(name: str, inside: Node) -> bool:
    """Whether a pattern inside binds the name too, or an assignment changes it."""
    return count_bindings(name, inside) > 0


def count_bindings(name: str, inside: Node) -> int:
    """How many patterns inside bind the name, and how many assignments change it."""
    count = 0
    for node in walk(inside):
        pattern = node.child_by_field_name("pattern")
        left = node.child_by_field_name("left")
        changed = node.type in ("assignment_expression", "compound_assignment_expr")
        if node.type == "closure_parameters":
            count += name in list_bound_names(node)
        elif changed:
            count += read(left) == name
        else:
            count += pattern is not None and name in list_bound_names(pattern)
    return count


def is_pure(node: Node) -> bool:
    """Whether an expression reads plain values and can neither panic nor change anything.

    Addition, subtraction and multiplication wrap in measured code; division and indices may panic.
    """
    if node.type == "call_expression":
        called = node.child_by_field_name("function")
        inputs = node.child_by_field_name("arguments")
        if called is None or inputs is None or not all(map(is_pure, inputs.named_children)):
            return False
        if called.type == "field_expression":
            value = called.child_by_field_name("value")
            method = read(called.child_by_field_name("field"))
            return method in PURE_METHODS and value is not None and is_pure(value)
        return CONVERSIONS.fullmatch(read(called)) is not None
    if node.type not in PURE_NODES:
        return False
    operator = read(node.child_by_field_name("operator"))
    if node.type == "binary_expression" and operator in ("/", "%"):
        return False
    if node.type == "unary_expression" and read(node).startswith("*"):
        inner = node.named_children[0]
        return inner.type == "identifier"
    if node.type == "reference_expression" and "mut" in read(node).split(" ")[0]:
        return False
    return all(map(is_pure, node.named_children))


def has_jump(body: Node, *kinds: str) -> bool:
    """Whether a jump inside leaves the loop that the body belongs to.

    Args:
        kinds: `break`, `continue` (of this loop, or with a label), `return` (also `?`).
    """
    return any(True for _ in list_jumps(body, *kinds))


def list_jumps(body: Node, *kinds: str) -> Iterator[Node]:
    """The jumps of these kinds; those of inner loops and closures belong to these."""
    wanted = {f"{kind}_expression" for kind in kinds}
    if "return" in kinds:
        wanted.add("try_expression")
    stack: list[tuple[Node, bool]] = [(body, False)]
    while stack:
        node, inner = stack.pop()
        labelled = any(child.type == "label" for child in node.children)
        own = not inner or labelled or node.type in ("return_expression", "try_expression")
        if node.type in wanted and own:
            yield node
        if node.type in ("closure_expression", "function_item"):
            continue
        inside = inner or (node.type in LOOPS and node != body)
        stack += [(child, inside) for child in node.children]


def _find_path(node: Node, name: str) -> str:
    names, above = [name], node.parent
    while above is not None:
        if above.type in ("mod_item", "function_item", "trait_item"):
            names.append(read(above.child_by_field_name("name")))
        elif above.type == "impl_item":
            names.append(read(above.child_by_field_name("type")))
        above = above.parent
    return "::".join(reversed(names))


def _read_params(node: Node) -> tuple[Param, ...] | None:
    listed = node.child_by_field_name("parameters")
    found = []
    for child in [] if listed is None else listed.named_children:
        if child.type.endswith("_comment") or child.type == "attribute_item":
            continue
        pattern = child.child_by_field_name("pattern")
        if child.type != "parameter" or pattern is None or pattern.type != "identifier":
            return None
        found.append(Param(read(pattern), read(child.child_by_field_name("type"))))
    return tuple(found)


def _list_attributes(node: Node) -> Iterator[Node]:
    before = node.prev_named_sibling
    while before is not None and (
        before.type == "attribute_item" or before.type.endswith("_comment")
    ):
        if before.type == "attribute_item":
            yield before
        before = before.prev_named_sibling
