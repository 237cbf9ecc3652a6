"""The parts of a change that can be left out, each with the kernel that remains.

    for part in list_parts(base, kernel):       tiers, functions, hunks, constants
        part.kind, part.name, part.text

    tier      a module with `#[target_feature]`, and every `if` that leads into it
    function  one that the base has in another form: the base's form; one that nothing names: gone
    hunk      consecutive lines that differ from the base's: the base's lines
    constant  as function

Whether the rest compiles, is right and is as fast is for the judge to say.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from lance_autoresearch.oracle.syntax import find_whole_span, load_parser

if TYPE_CHECKING:
    from tree_sitter import Node


class PartKind(StrEnum):
    """What a part is."""

    TIER = "tier"
    FUNCTION = "function"
    HUNK = "hunk"
    CONSTANT = "constant"


ITEMS = {"function_item": PartKind.FUNCTION, "const_item": PartKind.CONSTANT}


@dataclass(frozen=True, slots=True)
class Part:
    """A part, and the kernel without it."""

    kind: PartKind
    name: str
    text: bytes


def list_parts(base: bytes, kernel: bytes) -> list[Part]:
    """Every part of the change from `base` to `kernel`, large ones first; a text once."""
    found: dict[bytes, Part] = {}
    for part in (*_list_tiers(kernel), *_list_items(base, kernel, PartKind.FUNCTION),
                 *_list_hunks(base, kernel), *_list_items(base, kernel, PartKind.CONSTANT)):
        if part.text not in (base, kernel):
            found.setdefault(part.text, part)
    return list(found.values())


def count_code_lines(text: bytes) -> int:
    """Lines that are neither blank nor a comment alone."""
    return sum(map(_is_code, text.decode("utf-8", "replace").splitlines()))


def _is_code(line: str) -> bool:
    bare = line.strip()
    return bool(bare) and not bare.startswith("//")


# -- tiers -------------------------------------------------------------------------------------


def _list_tiers(kernel: bytes) -> Iterator[Part]:
    root = load_parser().parse(kernel).root_node
    for node in _walk(root):
        if node.type != "mod_item" or b"target_feature" not in _read(node):
            continue
        name = _read_name(node)
        inside = re.compile(rb"\b" + re.escape(name.encode()) + rb"\s*::")
        cuts = [(*find_whole_span(node, kernel), b"")]
        for branch in _walk(root):
            condition = branch.child_by_field_name("condition")
            if branch.type != "if_expression" or condition is None:
                continue
            outside = not node.start_byte <= branch.start_byte < node.end_byte
            if outside and inside.search(_read(condition)):
                cuts.append(_span_branch(branch, kernel))
        yield Part(PartKind.TIER, name, _cut(kernel, cuts))


def _span_branch(branch: Node, kernel: bytes) -> tuple[int, int, bytes]:
    """An `if` with its attributes; what stands behind `else` stays."""
    other = branch.child_by_field_name("alternative")
    rest = _read(other).removeprefix(b"else").strip() if other is not None else b""
    node = branch
    if node.parent is not None and node.parent.type == "expression_statement":
        node = node.parent
    start, end = find_whole_span(node, kernel)
    return start, end, rest


# -- items -------------------------------------------------------------------------------------


def _list_items(base: bytes, kernel: bytes, kind: PartKind) -> Iterator[Part]:
    old = {name: text for name, (_, text) in _find_items(base, kind).items()}
    for name, (node, text) in _find_items(kernel, kind).items():
        span = (node.start_byte, node.end_byte)
        if name in old:
            if old[name] != text:
                yield Part(kind, name, _cut(kernel, [(*span, old[name])]))
            continue
        start, end = find_whole_span(node, kernel)
        rest = kernel[:start] + kernel[end:]
        word = name.rpartition("::")[2].encode()
        if not re.search(rb"\b" + re.escape(word) + rb"\b", rest):
            yield Part(kind, name, rest)


def _find_items(text: bytes, kind: PartKind) -> Mapping[str, tuple[Node, bytes]]:
    """Items of one kind by path (`wide::values`); of two of one path the first."""
    found: dict[str, tuple[Node, bytes]] = {}
    for node in _walk(load_parser().parse(text).root_node):
        if ITEMS.get(node.type) is kind:
            found.setdefault(_find_path(node), (node, _read(node)))
    return found


def _find_path(node: Node) -> str:
    names, above = [_read_name(node)], node.parent
    while above is not None:
        if above.type == "mod_item":
            names.append(_read_name(above))
        elif above.type == "impl_item":
            owner = above.child_by_field_name("type")
            names.append(_read(owner).decode("utf-8", "replace") if owner is not None else "impl")
        above = above.parent
    return "::".join(reversed(names))


# -- hunks -------------------------------------------------------------------------------------


def _list_hunks(base: bytes, kernel: bytes) -> Iterator[Part]:
    """The largest first: what one trial may save."""
    old, new = base.splitlines(keepends=True), kernel.splitlines(keepends=True)
    changes = [
        change for change in difflib.SequenceMatcher(None, old, new, False).get_opcodes()
        if change[0] != "equal"
    ]  # fmt: skip
    for _, a, b, c, d in sorted(changes, key=lambda change: (change[3] - change[4], change[3])):
        if any(_is_code(line.decode("utf-8", "replace")) for line in (*old[a:b], *new[c:d])):
            name = f"lines {c + 1} to {d}" if d > c else f"before line {c + 1}"
            yield Part(PartKind.HUNK, name, b"".join([*new[:c], *old[a:b], *new[d:]]))


# -- the tree ----------------------------------------------------------------------------------


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _read(node: Node) -> bytes:
    return node.text or b""


def _read_name(node: Node) -> str:
    name = node.child_by_field_name("name")
    return _read(name).decode("utf-8", "replace") if name is not None else ""


def _cut(text: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """The text with each span replaced; of two that overlap the outer one."""
    done, at = [], 0
    for start, end, instead in sorted(cuts, key=lambda cut: (cut[0], -cut[1])):
        if start >= at:
            done += [text[at:start], instead]
            at = end
    return b"".join([*done, text[at:]])
